// A real ssb-server for interoperability tests.
//
//   node server.js HOME PORT [hops [history|ebt [HOST]]]
//
// With "history" it has no EBT and replicates by createHistoryStream. For tests
// it has a method that clients lack otherwise: test.connect(address).
// It listens on loopback only or, given a HOST, there, and then announces itself
// on the local network and looks for others. It writes its manifest for ssb-client and prints
// one JSON line when it is ready. It ends with its standard input. Of the file
// config in HOME it takes "blobs".
'use strict'
const fs = require('fs')
const path = require('path')
const ssbKeys = require('ssb-keys')

const [home, port, hops, protocol, lan] = process.argv.slice(2)
const host = lan || '127.0.0.1'
fs.mkdirSync(home, { recursive: true })
const keys = ssbKeys.loadOrCreateSync(path.join(home, 'secret'))

const stack = require('ssb-server')
for (const plugin of ['ssb-private1', 'ssb-unix-socket', 'ssb-no-auth', 'ssb-master', 'ssb-gossip', 'ssb-replicate',
  'ssb-friends', 'ssb-blobs', 'ssb-invite', 'ssb-local', 'ssb-query', 'ssb-links', 'ssb-ws', 'ssb-ebt', 'ssb-ooo']) {
  if (plugin !== 'ssb-ebt' || protocol !== 'history') stack.use(require(plugin))
}
stack.use({
  name: 'test',
  version: '1.0.0',
  manifest: { connect: 'async' },
  init: ssb => ({ connect: (address, cb) => ssb.connect(address, err => cb(err, true)) })
})

let settings = {}
try { settings = JSON.parse(fs.readFileSync(path.join(home, 'config'))) } catch (err) {}

const config = {
  blobs: settings.blobs,
  path: home,
  keys,
  caps: { shs: '1KHLiKZvAvjbY1ziZEHMXawbCEIM6qwjCDm3VYRan/s=' },
  port: Number(port),
  host,
  local: Boolean(lan),
  timers: { connection: 0, reconnect: 5e3, ping: 3e5, handshake: 5e3 }, // as ssb-config
  allowPrivate: true,
  friends: { hops: Number(hops || 2) },
  connections: {
    incoming: {
      net: [{ host: lan ? undefined : host, port: Number(port), scope: ['device', 'local', 'public'], transform: 'shs' }],
      unix: [{ scope: 'device', transform: 'noauth' }]
    },
    outgoing: { net: [{ transform: 'shs' }] }
  },
  logging: { level: 'error' }
}
const server = stack(config)
fs.writeFileSync(path.join(home, 'manifest.json'), JSON.stringify(server.getManifest(), null, 2))
console.log(JSON.stringify({ id: server.id, address: server.getAddress('device') }))
process.stdin.resume()
process.stdin.on('end', () => { server.close(); setTimeout(() => process.exit(0), 300) })
