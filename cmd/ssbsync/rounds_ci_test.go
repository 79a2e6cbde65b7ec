//go:build ci

package main

// killRounds is how many programs a kill test strikes down.
const killRounds = 200
