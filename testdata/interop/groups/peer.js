// A peer of the new JavaScript stack with private groups on classic feeds
// (ssb-box2, ssb-tribes), for interoperability tests.
//
//   node peer.js HOME PORT
//
// It listens on loopback only, writes its manifest for ssb-client and prints
// one JSON line when it is ready. It ends with its standard input. For tests it
// has methods that the stack does not offer to clients: test.clock(),
// test.connect(address), test.request(id), test.create(), test.invite(group,
// feeds), test.say(text, recps), test.texts(), test.members(group),
// test.exclude(group, feeds), test.list() and test.box(group), which makes a P.O.
// box.
'use strict'
const fs = require('fs')
const path = require('path')
const pull = require('pull-stream')
const ssbKeys = require('ssb-keys')
const caps = require('ssb-caps')
const { where, type, toPullStream } = require('ssb-db2/operators')

const [home, port] = process.argv.slice(2)
fs.mkdirSync(home, { recursive: true })
const keys = ssbKeys.loadOrCreateSync(path.join(home, 'secret'))

const tests = {
  name: 'test',
  version: '1.0.0',
  manifest: { clock: 'async', connect: 'async', request: 'sync', create: 'async', invite: 'async', say: 'async', texts: 'async', members: 'async', exclude: 'async', list: 'async', box: 'async' },
  init (ssb) {
    // as npm ssb-master does: the own identity may call everything
    ssb.auth.hook((fn, [id, cb]) => cb(null, id === ssb.id ? { allow: null, deny: null } : null))
    return {
      clock: cb => ssb.db.onDrain('base', () => ssb.getVectorClock(cb)),
      connect: (address, cb) => ssb.connect(address, err => cb(err, true)),
      request: id => { ssb.ebt.request(id, true); return true },
      create: cb => ssb.tribes.create({}, (err, group) => cb(err, group && { id: group.groupId, root: group.root })),
      invite: (group, feeds, cb) => ssb.tribes.invite(group, feeds, { text: 'welcome' }, cb),
      say: (text, recps, cb) => ssb.tribes.publish({ type: 'post', text, recps }, cb),
      texts: cb => pull(
        ssb.db.query(where(type('post')), toPullStream()),
        pull.map(msg => msg.value.content.text),
        pull.collect(cb)),
      members: (group, cb) => ssb.tribes.listAuthors(group, cb),
      exclude: (group, feeds, cb) => ssb.tribes.excludeMembers(group, feeds, cb),
      list: cb => ssb.tribes.list(cb),
      box: (group, cb) => ssb.tribes.addPOBox(group, cb)
    }
  }
}

const ssb = require('secret-stack')({ caps })
  .use(require('ssb-db2/core'))
  .use(require('ssb-classic'))
  .use(require('ssb-db2/compat'))
  .use(require('ssb-db2/compat/feedstate'))
  .use(require('ssb-box2'))
  .use(require('ssb-tribes'))
  .use(require('ssb-ebt'))
  .use(tests)
  .call(null, {
    path: home,
    keys,
    port: Number(port),
    host: '127.0.0.1',
    timers: { connection: 0, reconnect: 5e3, ping: 3e5, handshake: 5e3 },
    box2: { legacyMode: true },
    connections: {
      incoming: { net: [{ host: '127.0.0.1', port: Number(port), scope: ['device', 'local', 'public'], transform: 'shs' }] },
      outgoing: { net: [{ transform: 'shs' }] }
    }
  })
fs.writeFileSync(path.join(home, 'manifest.json'), JSON.stringify(ssb.getManifest(), null, 2))
console.log(JSON.stringify({ id: ssb.id, address: `net:127.0.0.1:${port}~shs:${ssb.id.slice(1, -8)}` }))
process.stdin.resume()
process.stdin.on('end', () => { ssb.close(true, () => process.exit(0)); setTimeout(() => process.exit(0), 500) })
