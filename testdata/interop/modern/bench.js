// What `go run ./cmd/bench` measures of ssb-db2 and ssb-ebt, beside ssbsync.
//
//   node bench.js start HOME                  opens the database and ends
//   node bench.js ingest HOME FILE            adds the messages of FILE, lines of {key, value, timestamp}
//   node bench.js log HOME                    prints all messages
//   node bench.js feed HOME ID                prints those of one feed
//   node bench.js serve HOME PORT FEEDS       replicates FEEDS, a file with a JSON list, until its input ends
//   node bench.js fetch HOME PORT FEEDS ADDRESS MESSAGES   replicates from ADDRESS until so many are there
//
// It ends when the indexes have followed. "serve" prints {address} when it is
// ready, "fetch" prints {seconds}, from connecting to the last message.
'use strict'
const fs = require('fs')
const path = require('path')
const readline = require('readline')
const pull = require('pull-stream')
const ssbKeys = require('ssb-keys')
const caps = require('ssb-caps')
const { where, author, toPullStream } = require('ssb-db2/operators')

const [command, home, ...args] = process.argv.slice(2)
const serving = command === 'serve' || command === 'fetch'
const port = serving ? Number(args[0]) : 0
fs.mkdirSync(home, { recursive: true })

const stack = require('secret-stack')({ caps })
  .use(require('ssb-db2'))
  .use(require('ssb-db2/compat'))
if (serving) stack.use(require('ssb-ebt'))
const ssb = stack.call(null, {
  path: home,
  keys: ssbKeys.loadOrCreateSync(path.join(home, 'secret')),
  timers: { connection: 0, reconnect: 5e3, ping: 3e5, handshake: 5e3 },
  connections: {
    incoming: serving ? { net: [{ host: '127.0.0.1', port, scope: ['device', 'local', 'public'], transform: 'shs' }] } : {},
    outgoing: { net: [{ transform: 'shs' }] }
  }
})

const wait = ms => new Promise(resolve => setTimeout(resolve, ms))
const settled = () => new Promise(resolve => ssb.db.onDrain('base', resolve))

async function ingest (file) {
  let flying = 0
  let failed = null
  for await (const line of readline.createInterface({ input: fs.createReadStream(file) })) {
    flying++
    ssb.db.add(JSON.parse(line).value, err => { flying--; failed = failed || err })
    while (flying >= 1000) await wait(1)
  }
  while (flying > 0) await wait(1)
  if (failed) throw failed
}

function print (stream) {
  return new Promise((resolve, reject) => pull(stream, pull.asyncMap((msg, cb) => {
    process.stdout.write(JSON.stringify(msg) + '\n') ? cb(null) : process.stdout.once('drain', () => cb(null))
  }), pull.drain(null, err => err ? reject(err) : resolve())))
}

const clock = () => new Promise((resolve, reject) => ssb.getVectorClock((err, clock) => err ? reject(err) : resolve(clock)))

async function fetch (address, messages) {
  const began = Date.now()
  ssb.connect(address, err => { if (err) throw err })
  for (let sum = 0; sum < messages; await wait(50)) {
    sum = Object.values(await clock()).reduce((a, b) => a + b, 0)
  }
  console.log(JSON.stringify({ seconds: (Date.now() - began) / 1000 }))
}

async function main () {
  await settled()
  if (serving) JSON.parse(fs.readFileSync(args[1])).forEach(id => ssb.ebt.request(id, true))
  switch (command) {
    case 'ingest': await ingest(args[0]); break
    case 'log': await print(ssb.createLogStream()); break
    case 'feed': await print(ssb.db.query(where(author(args[0])), toPullStream())); break
    case 'fetch': await fetch(args[2], Number(args[3])); break
    case 'serve':
      console.log(JSON.stringify({ address: `net:127.0.0.1:${port}~shs:${ssb.id.slice(1, -8)}` }))
      await new Promise(resolve => process.stdin.resume().on('end', resolve))
  }
  await settled()
  process.stdout.write('', () => {
    if (command !== 'ingest' && !serving) process.exit(0)
    ssb.close(true, () => process.exit(0))
    setTimeout(() => process.exit(0), 2000)
  })
}

main().catch(err => { console.error(err); process.exit(1) })
