# Where Redis is, by the runner's settings, and how the scripts speak with it.
# shellcheck shell=bash

# Sets redis_host, redis_port, redis_db, redis_user, redis_tls and redis_prefix. The password goes
# into REDISCLI_AUTH and never onto a command line, where every user of the machine could read it.
locate_redis() {
    local url authority password
    url=$(setting REDIS_URL)
    redis_prefix=$(setting QUEUE_PREFIX bull)
    redis_tls=no redis_user='' password=''
    if [[ -n $url ]]; then
        [[ $url =~ ^(rediss?)://(([^@]*)@)?(\[[^]]+\]|[^/:?]+)(:([0-9]+))?(/([0-9]*))?$ ]] ||
            give_up "REDIS_URL is not of the form redis://[user:password@]host[:port][/database]"
        [[ ${BASH_REMATCH[1]} == rediss ]] && redis_tls=yes
        authority=${BASH_REMATCH[3]}
        redis_host=${BASH_REMATCH[4]//[\[\]]/}
        redis_port=${BASH_REMATCH[6]:-6379}
        redis_db=${BASH_REMATCH[8]:-0}
        if [[ $authority == *:* ]]; then
            redis_user=$(percent_decoded "${authority%%:*}")
            password=$(percent_decoded "${authority#*:}")
        fi
    else
        redis_host=$(setting REDIS_HOST 127.0.0.1)
        redis_port=$(setting REDIS_PORT 6379)
        redis_db=$(setting REDIS_DB 0)
        password=$(setting REDIS_PASSWORD)
        [[ -n $password ]] && redis_user=$(setting REDIS_USER)
    fi
    [[ $redis_port =~ ^[0-9]+$ ]] || give_up "REDIS_PORT is not a number: $redis_port"
    [[ $redis_db =~ ^[0-9]+$ ]] || give_up "REDIS_DB is not a number: $redis_db"
    redis_password=$password
    if [[ -n $password ]]; then export REDISCLI_AUTH=$password; else unset REDISCLI_AUTH; fi
    redis_target="$redis_host:$redis_port/$redis_db/$redis_prefix"
}

# One command to Redis, with a deadline; the answer without decoration.
ask_redis() {
    local options=(-h "$redis_host" -p "$redis_port" -n "$redis_db" --raw)
    [[ -n $redis_user ]] && options+=(--user "$redis_user")
    [[ $redis_tls == yes ]] && options+=(--tls)
    timeout 30 redis-cli "${options[@]}" "$@" 2>&1
}

redis_answers() {
    command -v redis-cli >/dev/null && [[ $(timeout 5 cat < <(ask_redis PING)) == PONG ]]
}

redis_is_here() { [[ $redis_host == 127.* || $redis_host == localhost || $redis_host == ::1 ]]; }

# Whether something listens there, whatever it answers.
redis_port_is_taken() { timeout 2 bash -c "exec 3<>'/dev/tcp/$redis_host/$redis_port'" 2>/dev/null; }

# Starts a Redis of our own with an append-only file in .run/redis.
start_redis() {
    local directory=$PWD/.run/redis version deadline
    redis_is_here || give_up "Redis at $redis_host:$redis_port does not answer. It is not on this" \
        "machine, so it must be started there (REDIS_HOST, REDIS_PORT, REDIS_URL)."
    [[ $redis_tls == no ]] || give_up "no Redis answers at rediss://$redis_host:$redis_port, and this script sets up" \
        "only a Redis without TLS."
    if redis_port_is_taken; then
        give_up "something listens at $redis_host:$redis_port but does not answer as Redis with these settings:" \
            "$(ask_redis PING | head -n 1). Check REDIS_PORT, REDIS_USER and REDIS_PASSWORD."
    fi
    version=$(redis-server --version | sed -n 's/.*v=\([0-9]*\.[0-9]*\).*/\1/p')
    if [[ $(printf '%s\n' 6.0 "$version" | sort -V | head -n 1) != 6.0 ]]; then
        give_up "this machine's redis-server is $version and the runner needs 6.0 or newer." \
            "https://redis.io/docs/latest/operate/oss_and_stack/install/ has newer packages."
    fi
    say "Starting Redis at $redis_host:$redis_port, with an append-only file in $directory: jobs survive a restart."
    mkdir -p "$directory"
    # On stdin, so that a password is in no file and on no command line.
    redis-server - >"$directory/start.log" 2>&1 9>&- <<CONFIGURATION || true
bind $redis_host
port $redis_port
dir "$directory"
databases $((redis_db >= 16 ? redis_db + 1 : 16))
appendonly yes
appendfsync everysec
save ""
daemonize yes
pidfile "$directory/redis.pid"
logfile "$directory/redis.log"
$(redis_login_lines)
CONFIGURATION
    deadline=$((SECONDS + 30))
    until redis_answers; do
        if ((SECONDS > deadline)); then
            show_end_of "$directory/start.log"
            show_end_of "$directory/redis.log"
            # So that stop_services finds it, should it be slow and not dead.
            [[ ! -s $directory/redis.pid ]] || remember_process redis "$(<"$directory/redis.pid")"
            give_up "Redis did not answer within 30 s."
        fi
        sleep 0.2
    done
    remember_process redis "$(<"$directory/redis.pid")"
}

redis_login_lines() {
    [[ -n $redis_password ]] || return 0
    [[ $redis_password$redis_user != *[[:space:]\"\\]* ]] ||
        give_up "a Redis password with blanks, quotes or backslashes is not set up by this script"
    if [[ -n $redis_user && $redis_user != default ]]; then
        printf 'user %s on >%s ~* &* +@all\n' "$redis_user" "$redis_password"
    else
        printf 'requirepass %s\n' "$redis_password"
    fi
}
