// Package blobs keeps blobs in a folder, each under the name of its SHA-256,
// exactly as npm multiblob does for ssb-blobs, so that either program can use
// the folder of the other:
//
//	sha256/xx/…   the hash in lower-case hexadecimal: 2 digits, then 62
//	tmp/          blobs on their way in; emptied when the folder is opened
//	damaged/      what was set aside because it is not what its name says
//
// Nothing gets a name in sha256/ before all of it was hashed, compared with the
// id it should have, and brought to the medium: a pulled plug leaves a whole
// blob or none. The folder may hold files that another program wrote without
// such care, or that rotted: ReadAll and Verify compare again.
//
// The empty blob is always there, whether or not it has a file.
package blobs
