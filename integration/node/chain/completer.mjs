// The chain's second process: hands the verdict of each ended container over. Driven by events: a job
// waits in its handler for the death of its container, so that it must allow as many as run at once.
import { inspect, logs, remove, watch } from './engine.mjs'
import { FINISHED, RUNNING, queue, worker } from './queues.mjs'

const finished = queue(FINISHED, { attempts: 5, backoff: { type: 'exponential', delay: 5000 } })
const waiting = new Map()

await watch(id => waiting.get(id)?.())

const ended = async id => {
  const died = new Promise(resolve => waiting.set(id, resolve))
  const { State: state } = await inspect(id)
  if (state.Status !== 'exited') await died
  waiting.delete(id)
}

worker(RUNNING, Number(process.env.RUNNING_CONCURRENCY ?? 32), async ({ name, data: { work_id, container_id, callback } }) => {
  await ended(container_id)
  const correction_data = JSON.parse(await logs(container_id))
  await finished.add(name, { work_id, error: false, correction_data, callback })
  await remove(container_id)
  return `Correction completed at ${new Date().toISOString()}`
})
