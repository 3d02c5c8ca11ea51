// A BullMQ client that the Rust tests drive: a JSON request a line on stdin, a JSON answer a line on
// stdout. Arguments: the npm alias of the BullMQ version, the port of Redis.
'use strict';

const readline = require('node:readline');
const Module = require('node:module');

const [alias, port] = process.argv.slice(2);
// bull-board wants a `bullmq`: it gets this version.
const resolve = Module._resolveFilename;
Module._resolveFilename = (name, ...rest) => resolve.call(Module, name === 'bullmq' ? alias : name, ...rest);
const bullmq = require(alias);
const { BullMQAdapter } = require('@bull-board/api/bullMQAdapter');
const connection = { host: '127.0.0.1', port: Number(port), maxRetriesPerRequest: null };

const queues = new Map();
const listeners = new Map();
const workers = new Map();

const delay = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function queueOf({ prefix, queue }) {
  const key = `${prefix}:${queue}`;
  if (!queues.has(key)) queues.set(key, new bullmq.Queue(queue, { connection, prefix }));
  return queues.get(key);
}

async function jobOf(request) {
  const job = await queueOf(request).getJob(request.id);
  if (!job) throw new Error(`no job ${request.id}`);
  return job;
}

const EVENTS = ['added', 'waiting', 'active', 'completed', 'failed', 'delayed', 'stalled', 'drained',
  'retries-exhausted', 'paused', 'resumed', 'duplicated'];

// What a worker does with a job: `failures` times an error, then the value; or nothing, for ever.
function processor(worker, { returns, failures = 0, hangs = false, takes = 0 }) {
  return async (job, token) => {
    const seen = { id: job.id, name: job.name, data: job.data, attemptsMade: job.attemptsMade, token };
    worker.seen.push(seen);
    if (hangs) return new Promise(() => {});
    if (takes) await delay(takes);
    if (job.attemptsMade < failures) throw new Error(`failure ${job.attemptsMade + 1}`);
    return returns;
  };
}

const methods = {
  add: async (request) => {
    const { name = 'Correction', data, opts = {} } = request;
    return (await queueOf(request).add(name, data, opts)).id;
  },
  // A parent in another queue that waits for its one child here.
  flow: async (request) => {
    const { prefix, queue, parents, opts = {}, failParent = {} } = request;
    const flows = new bullmq.FlowProducer({ connection, prefix });
    const child = { name: 'child', queueName: queue, data: {}, opts: { ...opts, ...failParent } };
    const tree = await flows.add({ name: 'parent', queueName: parents, data: {}, children: [child] });
    await flows.close();
    return { parent: tree.job.id, child: tree.children[0].job.id };
  },
  addMany: async (request) => {
    const jobs = request.jobs.map(({ name = 'Correction', data, opts = {} }) => ({ name, data, opts }));
    return (await queueOf(request).addBulk(jobs)).map((job) => job.id);
  },
  queue: async (request) => queueOf(request)[request.method](...(request.args ?? [])),
  job: async (request) => {
    const job = await jobOf(request);
    const { name, data, returnvalue, failedReason, stacktrace, attemptsMade, processedOn, finishedOn } = job;
    const { delay: waits, priority, opts, timestamp } = job;
    return { name, data, returnvalue, failedReason, stacktrace, attemptsMade, processedOn, finishedOn,
      delay: waits, priority, opts, timestamp, state: await job.getState() };
  },
  jobCall: async (request) => (await jobOf(request))[request.method](...(request.args ?? [])),
  listen: async (request) => {
    const events = new bullmq.QueueEvents(request.queue, { connection, prefix: request.prefix });
    const heard = [];
    for (const event of EVENTS) {
      events.on(event, (details) => heard.push({ event, ...details }));
    }
    listeners.set(`${request.prefix}:${request.queue}`, heard);
    await events.waitUntilReady();
    // Ready means connected; only a read that is under way is sure to hear everything.
    await delay(300);
    return true;
  },
  heard: async (request) => {
    const heard = listeners.get(`${request.prefix}:${request.queue}`);
    const fits = (entry) => entry.event === request.event && (!request.id || entry.jobId === request.id);
    for (const end = Date.now() + 10000; Date.now() < end; await delay(20)) {
      const found = heard.find(fits);
      if (found) return found;
    }
    throw new Error(`no ${request.event} of ${request.id}, only ${JSON.stringify(heard)}`);
  },
  work: async (request) => {
    const worker = { seen: [] };
    const opts = { connection, prefix: request.prefix, ...request.opts };
    worker.bull = new bullmq.Worker(request.queue, processor(worker, request), opts);
    worker.bull.on('error', () => {});
    workers.set(request.worker, worker);
    await worker.bull.waitUntilReady();
    return true;
  },
  seen: async (request) => {
    const { seen } = workers.get(request.worker);
    for (const end = Date.now() + 20000; Date.now() < end; await delay(20)) {
      if (seen.length >= request.count) return seen;
    }
    throw new Error(`only ${JSON.stringify(seen)}`);
  },
  seenNow: async (request) => workers.get(request.worker).seen,
  closeWorker: async (request) => {
    await workers.get(request.worker).bull.close(request.force ?? false);
    return true;
  },
  state: async (request) => {
    for (const end = Date.now() + 20000; Date.now() < end; await delay(20)) {
      const state = await queueOf(request).getJobState(request.id);
      if (state === request.state) return state;
    }
    throw new Error(`${request.id} is ${await queueOf(request).getJobState(request.id)}`);
  },
  // What a dashboard asks: bull-board's adapter, all calls that a page of it makes.
  board: async (request) => {
    const adapter = new BullMQAdapter(queueOf(request));
    const states = ['active', 'waiting', 'completed', 'failed', 'delayed', 'prioritized', 'paused'];
    const jobs = await adapter.getJobs(states, 0, 50);
    return {
      name: adapter.getName(),
      counts: await adapter.getJobCounts(),
      paused: await adapter.isPaused(),
      jobs: await Promise.all(jobs.map(async (job) => ({ ...job.toJSON(), state: await job.getState() }))),
      logs: jobs.length ? await adapter.getJobLogs(String(jobs[0].id)) : [],
    };
  },
};

readline.createInterface({ input: process.stdin }).on('line', async (line) => {
  const { number, method, request } = JSON.parse(line);
  let answer;
  try {
    answer = { number, result: (await methods[method](request)) ?? null };
  } catch (error) {
    answer = { number, error: String(error.stack ?? error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}).on('close', () => process.exit(0));

process.stdout.write(`${JSON.stringify({ number: 0, result: alias })}\n`);
