// Package refs parses and formats the references of Secure Scuttlebutt: ids
// of feeds, messages and blobs with their sigils, links with a query, and
// ssb: URIs. Network addresses and invite codes, which need the multiserver
// grammar, are in package multiserver.
//
// Source: the Scuttlebutt protocol guide ("Keys and identities", "Message
// ID", "Blobs"), the ssb-uri-spec and, where they are silent, the npm
// packages ssb-ref 2.16.0 and ssb-uri2 2.4.1.
//
// # Where this package is stricter than ssb-ref and ssb-uri2
//
// An id is an array of 32 bytes here, so it has one spelling only. The rules
// below are all the differences; the tests classify every vector by them.
//
//	suffix      ssb-ref takes any character for the dot of ".ed25519" and
//	            ".sha256", and ".sha256" on a feed id. Here the suffix is
//	            literal and belongs to its sigil.
//	canonical   ssb-ref's parseLink and extract, and ssb-uri2's conversions,
//	            take any 43 base64 characters. Here an id that does not
//	            decode to 32 bytes and back to the same text is none, and
//	            Extract goes on to the next.
//	data        ssb-uri2 takes any base64url of any length as data. Here it is
//	            44 characters with padding, and canonical where it is a
//	            classic id. In the other formats, where the examples of the
//	            specification are not canonical, it is kept as spelt.
//	path        ssb-uri2 compares prefixes and takes the last portion of the
//	            path for the data. Here the path has exactly the parts of its
//	            type and format (one more for the parent of a buttwoo-v1
//	            feed), each ended by the same separator, and nothing follows.
//	fragment    ssb-uri2 drops a fragment and, like every URL parser, tabs,
//	            line breaks and outer spaces. Here they are errors.
//	decompose   ssb-uri2's decompose does not look at the scheme, the "//" or
//	            the query. Here it is part of ParseURI, which does.
//	length      No reference is longer than 8192 bytes: nothing longer fits a
//	            message.
package refs
