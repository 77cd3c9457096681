const { createHash } = require('node:crypto')
const { createServer } = require('node:http')
const { gzipSync } = require('node:zlib')

const routes = {
  '': () => '<h1>Bootloom</h1> Node.js from RAM.',
  time: (zone) => new Date().toLocaleString('en-GB', { timeZone: zone, timeZoneName: 'short' }),
  hash: (text) => `sha256 ${createHash('sha256').update(text).digest('hex')}`,
  zip: (text) => gzipSync(text),
}

createServer((request, response) => {
  const [name, ...rest] = request.url.slice(1).split('/')
  const route = routes[name]
  if (!route) return response.writeHead(404).end('no such page')
  response.end(route(decodeURIComponent(rest.join('/'))))
}).listen(8000)
