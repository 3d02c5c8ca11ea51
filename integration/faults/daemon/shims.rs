//! What holds the containers dies, and dockerd does not: a shim, or containerd.
