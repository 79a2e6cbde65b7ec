// A room (npm ssb-room) for interoperability tests.
//
//   node room.js HOME PORT
//
// It listens on loopback only and prints one JSON line when it is ready. It
// ends with its standard input.
'use strict'
const fs = require('fs')
const path = require('path')
const ssbKeys = require('ssb-keys')

const [home, port] = process.argv.slice(2)
fs.mkdirSync(home, { recursive: true })
const keys = ssbKeys.loadOrCreateSync(path.join(home, 'secret'))

const ssb = require('secret-stack')({ caps: require('ssb-caps') })
  .use(require('ssb-conn'))
  .use(require('ssb-room/tunnel/server'))
  .call(null, {
    path: home,
    keys,
    port: Number(port),
    host: '127.0.0.1',
    timers: { connection: 0, reconnect: 5e3, ping: 3e5, handshake: 5e3 },
    conn: { autostart: false },
    connections: {
      incoming: { net: [{ host: '127.0.0.1', port: Number(port), scope: ['device', 'local', 'public'], transform: 'shs' }] },
      outgoing: { net: [{ transform: 'shs' }] }
    }
  })
console.log(JSON.stringify({ id: ssb.id, address: `net:127.0.0.1:${port}~shs:${ssb.id.slice(1, -8)}` }))
process.stdin.resume()
process.stdin.on('end', () => { ssb.close(true, () => process.exit(0)); setTimeout(() => process.exit(0), 500) })
