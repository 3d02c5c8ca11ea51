// The chain's first process: creates and starts the container of each pending correction.
import { randomUUID } from 'node:crypto'
import { create, start } from './engine.mjs'
import { PENDING, RUNNING, concurrency, queue, worker } from './queues.mjs'

const running = queue(RUNNING)

worker(PENDING, concurrency, async ({ name, data: { work_id, image, file, callback, params } }) => {
  const container_id = await create(`correction-${randomUUID()}`, {
    Image: image,
    Env: params ?? [],
    Tty: false,
    HostConfig: { Binds: [`${file}:/tmp/exercise`] },
  })
  await start(container_id)
  await running.add(name, { work_id, container_id, callback })
  return `Correction started at ${new Date().toISOString()}`
})
