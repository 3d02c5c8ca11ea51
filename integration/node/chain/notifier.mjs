// The chain's third process: posts each result to its callback.
import { FINISHED, concurrency, worker } from './queues.mjs'

const canonical = body => JSON.stringify(Object.fromEntries(Object.entries(body).sort(([a], [b]) => (a < b ? -1 : 1))))

worker(FINISHED, concurrency, async ({ data: { work_id, correction_data, callback } }) => {
  const response = await fetch(callback, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: canonical({ work_id, ...correction_data }),
  })
  await response.arrayBuffer()
  if (!response.ok) throw new Error(`status ${response.status}`)
  return `Notification sent to ${callback} at ${new Date().toISOString()}`
})
