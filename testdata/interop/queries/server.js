// An ssb-db with the plugins that apps ask (ssb-query, ssb-backlinks,
// ssb-search, ssb-tangle, ssb-about, ssb-names), for comparisons.
//
//   node server.js HOME PORT FILE
//
// It adds the messages of FILE, one {value} a line, in their order. It listens on
// loopback only, writes its manifest for ssb-client and prints one JSON line when
// all of them are indexed. It ends with its standard input.
'use strict'
const fs = require('fs')
const path = require('path')
const caps = require('ssb-caps')
const ssbKeys = require('ssb-keys')

const [home, port, file] = process.argv.slice(2)
fs.mkdirSync(home, { recursive: true })
const keys = ssbKeys.loadOrCreateSync(path.join(home, 'secret'))
const say = console.log
console.log = () => {} // the plugins talk a lot

const stack = require('secret-stack')({ caps })
for (const plugin of ['ssb-db', 'ssb-private1', 'ssb-unix-socket', 'ssb-no-auth', 'ssb-master', 'ssb-replicate', 'ssb-friends',
  'ssb-backlinks', 'ssb-query', 'ssb-search', 'ssb-tangle', 'ssb-about', 'ssb-names']) {
  stack.use(require(plugin))
}
const server = stack({
  path: home,
  keys,
  port: Number(port),
  host: '127.0.0.1',
  timers: { connection: 0, reconnect: 5e3, ping: 3e5, handshake: 5e3 },
  friends: { hops: 3 },
  connections: {
    incoming: {
      net: [{ host: '127.0.0.1', port: Number(port), scope: ['device', 'local', 'public'], transform: 'shs' }],
      unix: [{ scope: 'device', transform: 'noauth' }]
    },
    outgoing: { net: [{ transform: 'shs' }] }
  }
})
fs.writeFileSync(path.join(home, 'manifest.json'), JSON.stringify(server.getManifest(), null, 2))

const messages = fs.readFileSync(file, 'utf8').split('\n').filter(Boolean).map(JSON.parse)
let left = messages.length
for (const msg of messages) { // they are queued and written together
  server.add(msg.value || msg, err => {
    if (err) throw err
    if (--left === 0) ready()
  })
}

function ready () { // the indexes follow the log by themselves
  const { current, target } = server.progress().indexes
  if (current < target) return setTimeout(ready, 50)
  say(JSON.stringify({ id: server.id, address: server.getAddress('device') }))
}
process.stdin.resume()
process.stdin.on('end', () => { server.close(); setTimeout(() => process.exit(0), 300) })
