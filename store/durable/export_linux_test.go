package durable

// SourceOf finds the source of a mount in a text of /proc/self/mountinfo.
var SourceOf = sourceOf
