// Package muxrpc is the remote procedure call protocol of Secure Scuttlebutt:
// both sides of a connection call each other's methods, asynchronously and with
// streams.
//
// Source: the protocol guide, "RPC protocol", and where it is silent, what npm
// muxrpc 8, packet-stream 2 and packet-stream-codec 1.2 do.
package muxrpc
