// npm ssb-lan by itself: announces one address and prints the addresses that
// it hears, "verified" before those that are signed.
//
//   node lan.js HOST PORT
//
// The first line it prints is its own address. It ends with its standard input.
'use strict'
const pull = require('pull-stream')
const caps = require('ssb-caps')
const ssbKeys = require('ssb-keys')
const plugin = require('ssb-lan')

const [host, port] = process.argv.slice(2)
const keys = ssbKeys.generate()
const address = `net:${host}:${port}~shs:${keys.public.replace('.ed25519', '')}`
console.log(address)
const close = () => {}
close.hook = () => {}
const lan = plugin.init({ id: keys.id, keys, getAddress: () => address, close }, { caps })
pull(lan.discoveredPeers(), pull.drain((heard) => {
  console.log((heard.verified ? 'verified ' : '') + heard.address)
}))
lan.start()
process.stdin.resume()
process.stdin.on('end', () => process.exit(0))
