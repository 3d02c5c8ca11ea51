// Docker's API over its socket with keep-alive: the calls that the chain of Node workers makes.
import http from 'node:http'

const socketPath = process.env.DOCKER_SOCKET
const agent = new http.Agent({ keepAlive: true, maxSockets: 64 })

const call = (method, path, body) => new Promise((resolve, reject) => {
  const text = body === undefined ? undefined : JSON.stringify(body)
  const headers = text === undefined ? {} : { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) }
  const request = http.request({ socketPath, agent, method, path: `/v1.41${path}`, headers }, response => {
    const chunks = []
    response.on('data', chunk => chunks.push(chunk))
    response.on('error', reject)
    response.on('end', () => {
      const answer = Buffer.concat(chunks)
      if (response.statusCode < 400) resolve(answer)
      else reject(new Error(`${method} ${path}: ${response.statusCode} ${answer}`))
    })
  })
  request.on('error', reject)
  request.end(text)
})

export const create = async (name, spec) =>
  JSON.parse(await call('POST', `/containers/create?name=${name}`, spec)).Id

export const start = id => call('POST', `/containers/${id}/start`)

export const inspect = async id => JSON.parse(await call('GET', `/containers/${id}/json`))

export const remove = id => call('DELETE', `/containers/${id}`)

// What the container wrote: frames of a kind (1 byte), a length (big endian, at 4) and the bytes.
export const logs = async id => {
  const framed = await call('GET', `/containers/${id}/logs?stdout=1&stderr=1`)
  let text = ''
  for (let at = 0; at + 8 <= framed.length;) {
    const length = framed.readUInt32BE(at + 4)
    text += framed.toString('utf8', at + 8, at + 8 + length)
    at += 8 + length
  }
  return text
}

// Calls `died` with the id of every container that ends. Resolves once the stream is open.
export const watch = died => new Promise((resolve, reject) => {
  const filters = encodeURIComponent(JSON.stringify({ type: ['container'], event: ['die'] }))
  http.get({ socketPath, path: `/v1.41/events?filters=${filters}` }, response => {
    let rest = ''
    response.setEncoding('utf8')
    response.on('data', chunk => {
      const lines = (rest + chunk).split('\n')
      rest = lines.pop()
      for (const line of lines) died(JSON.parse(line).Actor.ID)
    })
    response.on('end', () => process.exit(1))
    resolve()
  }).on('error', reject)
})
