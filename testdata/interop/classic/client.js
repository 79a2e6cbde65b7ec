// Calls methods of a server through npm ssb-client with its default settings:
// it finds secret, config and manifest in ~/.ssb.
//
//   HOME=… [REMOTE=ADDRESS] node client.js < calls
//
// With REMOTE, a multiserver address, it connects there instead.
// Standard input is a JSON list of {method, type, args, take, wait}: of a
// stream at most so many items are taken, within so many milliseconds; one that
// "ends" must do so by then. A string
// "$3.key" in the arguments stands for the member of the fourth call's answer,
// "$id" for the server's identity. For each call one JSON line is printed:
// {answer}, {items} or {error}. A call with "behind" is not waited for: its line
// comes at the end. A sink gets the bytes that "bytes" has in base64.
'use strict'
const pull = require('pull-stream')
const calls = JSON.parse(require('fs').readFileSync(0, 'utf8'))

const answers = []

function fill (server, v) {
  if (Array.isArray(v)) return v.map(x => fill(server, x))
  if (v && typeof v === 'object') {
    const o = {}
    for (const k of Object.keys(v)) o[k] = fill(server, v[k])
    return o
  }
  if (v === '$id') return server.id
  const m = typeof v === 'string' && /^\$(\d+)\.(.+)$/.exec(v)
  return m ? m[2].split('.').reduce((x, k) => x[k], answers[m[1]].answer) : v
}

function find (server, method) {
  let self = null
  let fn = server
  for (const part of method.split('.')) { self = fn; fn = fn && fn[part] }
  return fn && fn.bind(self)
}

function call (server, { method, type, args, take, wait, ends, bytes }) {
  return new Promise(resolve => {
    const fn = find(server, method)
    if (!fn) return resolve({ error: 'not in the manifest' })
    const fail = err => resolve({ error: String(err.message || err) })
    if (type === 'source') {
      const items = []
      const end = err => err && err !== true ? fail(err) : resolve({ items })
      const drain = pull.drain(item => { items.push(item) }, err => { clearTimeout(timer); end(err) })
      const timer = setTimeout(() => { end(ends && 'no end'); drain.abort() }, wait || 5000)
      return pull(fn(...args), take ? pull.take(take) : pull.through(), drain)
    }
    const timer = setTimeout(() => resolve({ error: 'no answer' }), wait || 5000)
    if (type === 'sink') {
      const all = Buffer.from(bytes || '', 'base64')
      const parts = []
      for (let at = 0; at < all.length; at += 65536) parts.push(all.slice(at, at + 65536))
      return pull(pull.values(parts), fn(...args, (err, answer) => { clearTimeout(timer); err ? fail(err) : resolve({ answer }) }))
    }
    fn(...args, (err, answer) => { clearTimeout(timer); err ? fail(err) : resolve({ answer }) })
  })
}

function connect (tries) { // a busy server takes its time to accept
  const remote = process.env.REMOTE
  require('ssb-client')(remote ? { remote } : null, (err, server) => {
    if (err && tries > 1) return setTimeout(connect, 1000, tries - 1)
    if (err) throw err
    run(server)
  })
}

async function run (server) {
  for (const c of calls) {
    const done = call(server, { ...c, args: fill(server, c.args || []) })
    answers.push(c.behind ? done : await done)
  }
  let lines = ''
  for (const a of answers) lines += JSON.stringify(await a) + '\n'
  process.stdout.write(lines, () => { // an exit would cut off what the pipe does not hold
    server.close(() => process.exit(0))
    setTimeout(() => process.exit(0), 1000)
  })
}

connect(10)
