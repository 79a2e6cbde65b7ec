// A peer of the new JavaScript stack (secret-stack, ssb-db2, ssb-ebt) for
// interoperability tests.
//
//   node peer.js HOME PORT [hops [room]]
//
// With "room" it can meet others in rooms. It listens on loopback only, writes its manifest for ssb-client and prints
// one JSON line when it is ready. It ends with its standard input. For tests it
// has a few methods that the stack does not offer to clients:
// test.publish(content), test.clock(), test.connect(address),
// test.request(id, want), test.query(id), test.live(), which sends the id of
// each message that is added.
'use strict'
const fs = require('fs')
const path = require('path')
const ssbKeys = require('ssb-keys')
const caps = require('ssb-caps')

const [home, port, hops, room] = process.argv.slice(2)
fs.mkdirSync(home, { recursive: true })
const keys = ssbKeys.loadOrCreateSync(path.join(home, 'secret'))

const tests = {
  name: 'test',
  version: '1.0.0',
  manifest: { publish: 'async', clock: 'async', connect: 'async', request: 'sync', query: 'async', live: 'source' },
  init (ssb) {
    // as npm ssb-master does: the own identity may call everything
    ssb.auth.hook((fn, [id, cb]) => cb(null, id === ssb.id ? { allow: null, deny: null } : null))
    return {
      publish: (content, cb) => ssb.db.publish(content, cb),
      clock: cb => ssb.db.onDrain('base', () => ssb.getVectorClock(cb)),
      connect: (address, cb) => (room ? ssb.conn : ssb).connect(address, err => cb(err, true)),
      request: (id, want) => { ssb.ebt.request(id, want !== false); return true },
      query: (key, cb) => ssb.db.get(key, cb),
      live: () => {
        const notify = require('pull-notify')()
        ssb.db.onMsgAdded(({ kvt }) => notify(kvt.key))
        return notify.listen()
      }
    }
  }
}

const ssb = require('secret-stack')({ caps })
  .use(require('ssb-db2'))
  .use(require('ssb-db2/compat'))
  .use(require('ssb-conn'))
  .use(require('ssb-friends'))
  .use(require('ssb-ebt'))
  .use(require('ssb-replication-scheduler'))
  .use(require('ssb-blobs'))
  .use(require('ssb-invite-client'))
  .use(room ? require('ssb-room-client') : [])
  .use(tests)
  .call(null, {
    path: home,
    keys,
    port: Number(port),
    host: '127.0.0.1',
    timers: { connection: 0, reconnect: 5e3, ping: 3e5, handshake: 5e3 },
    friends: { hops: Number(hops || 2) },
    conn: { autostart: false },
    connections: {
      incoming: {
        net: [{ host: '127.0.0.1', port: Number(port), scope: ['device', 'local', 'public'], transform: 'shs' }],
        ...(room && { tunnel: [{ scope: 'public', transform: 'shs' }] })
      },
      outgoing: { net: [{ transform: 'shs' }], ...(room && { tunnel: [{ transform: 'shs' }] }) }
    }
  })
fs.writeFileSync(path.join(home, 'manifest.json'), JSON.stringify(ssb.getManifest(), null, 2))
console.log(JSON.stringify({ id: ssb.id, address: `net:127.0.0.1:${port}~shs:${ssb.id.slice(1, -8)}` }))
process.stdin.resume()
process.stdin.on('end', () => { ssb.close(true, () => process.exit(0)); setTimeout(() => process.exit(0), 500) })
