package graph

// Parse is parse for tests.
var Parse = parse
