// npm ssb-local by itself: announces one address and prints the addresses that
// it hears.
//
//   node lan.js HOST PORT
//
// The first line it prints is its own address. It ends with its standard input.
'use strict'
const local = require('ssb-local')
const ssbKeys = require('ssb-keys')

const [host, port] = process.argv.slice(2)
const keys = ssbKeys.generate()
const address = `net:${host}:${port}~shs:${keys.public.replace('.ed25519', '')}`
console.log(address)
local.init({
  id: keys.id,
  getAddress: (scope) => scope === 'private' ? address : null,
  gossip: { add: (heard) => console.log(heard), remove () {} },
  status: { hook () {} }
}, { port: 8008 })
process.stdin.resume()
process.stdin.on('end', () => process.exit(0))
