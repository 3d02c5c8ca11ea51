// The three queues and how the chain of Node workers connects to them: no limits, one concurrency for all.
const { Queue, Worker } = await import(process.env.BULLMQ ?? 'bullmq6')

const connection = { host: '127.0.0.1', port: Number(process.env.REDIS_PORT) }
// BullMQ's own defaults, unless a test has not the time.
const locks = { lockDuration: Number(process.env.LOCK_DURATION ?? 30000), stalledInterval: Number(process.env.STALLED_INTERVAL ?? 30000) }
const keep = { removeOnComplete: { count: Number(process.env.KEEP ?? 1000) }, removeOnFail: { count: 5000 } }

export const PENDING = 'pending_corrections'
export const RUNNING = 'running_corrections'
export const FINISHED = 'finished_corrections'

export const queue = (name, defaultJobOptions) => new Queue(name, { connection, defaultJobOptions })

export const worker = (name, concurrency, handle) => {
  const made = new Worker(name, handle, { connection, concurrency, ...locks, ...keep })
  made.on('failed', (job, error) => console.error(`${name} ${job?.id}: ${error.message}`))
  made.on('error', error => console.error(`${name}: ${error.message}`))
  console.log('ready')
  return made
}

export const concurrency = Number(process.env.CONCURRENCY ?? 32)
