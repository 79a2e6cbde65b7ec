// What `go run ./cmd/bench` measures of a real ssb-server, beside ssbsync.
//
//   node bench.js start HOME                  opens the database and ends
//   node bench.js ingest HOME FILE            adds the messages of FILE, lines of {key, value, timestamp}
//   node bench.js log HOME                    prints all messages
//   node bench.js feed HOME ID                prints those of one feed
//   node bench.js serve HOME PORT FEEDS       replicates FEEDS, a file with a JSON list, until its input ends
//   node bench.js fetch HOME PORT FEEDS ADDRESS MESSAGES   replicates from ADDRESS until so many are there
//
// It ends when the indexes have followed. "serve" prints {address} when it is
// ready, "fetch" prints {seconds}, from connecting to the last message and to the
// last index.
'use strict'
const fs = require('fs')
const path = require('path')
const readline = require('readline')
const pull = require('pull-stream')
const ssbKeys = require('ssb-keys')

const [command, home, ...args] = process.argv.slice(2)
const serving = command === 'serve' || command === 'fetch'
const port = serving ? Number(args[0]) : 0
fs.mkdirSync(home, { recursive: true })

const stack = require('ssb-server')
for (const plugin of ['ssb-master', 'ssb-gossip', 'ssb-replicate', 'ssb-friends', 'ssb-ebt']) {
  if (serving || plugin === 'ssb-master') stack.use(require(plugin))
}
const server = stack({
  path: home,
  keys: ssbKeys.loadOrCreateSync(path.join(home, 'secret')),
  caps: { shs: '1KHLiKZvAvjbY1ziZEHMXawbCEIM6qwjCDm3VYRan/s=' },
  local: false,
  timers: { connection: 0, reconnect: 5e3, ping: 3e5, handshake: 5e3 },
  friends: { hops: 1 },
  connections: {
    incoming: serving ? { net: [{ host: '127.0.0.1', port, scope: ['device', 'local', 'public'], transform: 'shs' }] } : {},
    outgoing: { net: [{ transform: 'shs' }] }
  },
  logging: { level: 'error' }
})

const wait = ms => new Promise(resolve => setTimeout(resolve, ms))

async function settled () {
  for (;;) {
    const { current, target } = server.progress().indexes
    if (current === target) return
    await wait(5)
  }
}

async function ingest (file) {
  let flying = 0
  let failed = null
  for await (const line of readline.createInterface({ input: fs.createReadStream(file) })) {
    flying++
    server.add(JSON.parse(line).value, err => { flying--; failed = failed || err })
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

const clock = () => new Promise((resolve, reject) => server.getVectorClock((err, clock) => err ? reject(err) : resolve(clock)))

async function fetch (address, messages) {
  const began = Date.now()
  server.connect(address, err => { if (err) throw err })
  for (let sum = 0; sum < messages; await wait(50)) {
    sum = Object.values(await clock()).reduce((a, b) => a + b, 0)
  }
  console.log(JSON.stringify({ seconds: (Date.now() - began) / 1000 }))
}

async function main () {
  await settled()
  if (serving) JSON.parse(fs.readFileSync(args[1])).forEach(id => server.replicate.request(id))
  switch (command) {
    case 'ingest': await ingest(args[0]); break
    case 'log': await print(server.createLogStream()); break
    case 'feed': await print(server.createHistoryStream({ id: args[0] })); break
    case 'fetch': await fetch(args[2], Number(args[3])); break
    case 'serve':
      console.log(JSON.stringify({ address: server.getAddress('device') }))
      await new Promise(resolve => process.stdin.resume().on('end', resolve))
  }
  await settled()
  process.stdout.write('', () => {
    if (command !== 'ingest' && !serving) process.exit(0)
    server.close(() => process.exit(0))
    setTimeout(() => process.exit(0), 2000)
  })
}

main().catch(err => { console.error(err); process.exit(1) })
