//go:build ci

package main

// asks makes questions to a method, which is a source.
func asks(method string, args ...any) (calls []remote) {
	for _, arg := range args {
		calls = append(calls, remote{Method: method, Type: "source", Args: []any{arg}, Wait: 60_000, Ends: true})
	}
	return calls
}

// mfr is a query.
func mfr(steps ...any) obj { return obj{"query": append([]any{}, steps...)} }

func filter(o any) obj { return obj{"$filter": o} }

// with returns an object with a member more.
func with(o obj, name string, value any) obj {
	c := obj{name: value}
	for k, v := range o {
		if k != name {
			c[k] = v
		}
	}
	return c
}

// value and content wrap what is wanted of the value and of the content of a
// message.
func value(o any) obj   { return obj{"value": o} }
func content(o any) obj { return value(obj{"content": o}) }

// key asks for the keys alone.
var key = obj{"$map": "key"}

// filterQueries are filters of query.read.
func filterQueries() []remote {
	keysOf := func(filters ...any) (args []any) {
		for _, f := range filters {
			args = append(args, mfr(filter(f), key))
		}
		return args
	}
	return asks("query.read", keysOf(
		content(obj{"type": "post"}),
		content(obj{"type": "gathering"}),
		content(obj{"type": "nonesuch"}),
		value(obj{"author": "$@alice"}),
		value(obj{"author": "$@alice", "content": obj{"type": "post"}}),
		value(obj{"author": "$@bob", "sequence": 2}),
		value(obj{"author": "$@bob", "sequence": obj{"$gt": 2, "$lte": 5}}),
		value(obj{"author": "$@bob", "sequence": obj{"$gte": 2, "$lt": 5}}),
		value(obj{"author": obj{"$in": []any{"$@bob", "$@carol"}}, "content": obj{"type": "vote"}}),
		value(obj{"timestamp": obj{"$gt": 1_700_000_010_000, "$lt": 1_700_000_015_000}}),
		value(obj{"timestamp": obj{"$lte": 1_438_787_505_000}}),
		value(obj{"timestamp": 1_438_787_505_000}),
		value(obj{"timestamp": obj{"$gte": 1_700_000_010_000}, "content": obj{"type": "post"}}),
		content(obj{"channel": "ssb-dev"}),
		content(obj{"channel": "SSB-Dev"}),
		content(obj{"channel": obj{"$prefix": ""}}),
		content(obj{"channel": 7}),
		content(obj{"channel": nil}),
		content(obj{"channel": ""}),
		content(obj{"channel": obj{"$is": "string"}, "type": "channel"}),
		content(obj{"channel": obj{"$is": "number"}}),
		content(obj{"channel": obj{"$is": "object"}}),
		content(obj{"channel": obj{"$is": "boolean"}}),
		content(obj{"channel": obj{"$ne": "ssb-dev"}, "type": "channel"}),
		content(obj{"root": "$root"}),
		content(obj{"root": "$root", "type": "vote"}),
		content(obj{"root": obj{"$prefix": "%"}, "type": "odd"}),
		content(obj{"branch": "$root"}),
		content(obj{"branch": []any{"$r1", "$r2"}}),
		content(obj{"branch": obj{"0": "$r3"}}),
		content(obj{"branch": obj{"$is": "object"}}),
		content(obj{"vote": obj{"link": "$r2"}}),
		content(obj{"type": "vote", "vote": obj{"value": obj{"$lt": 1}}}),
		content(obj{"type": "about", "about": "$@alice"}),
		content(obj{"type": "about", "name": obj{"$truthy": true}, "about": "$@bob"}),
		content(obj{"type": "about", "name": obj{"$not": true}, "about": "$@bob"}),
		content(obj{"type": "about", "image": obj{"link": obj{"$is": "string"}}, "about": obj{"$prefix": "@"}}),
		content(obj{"type": "contact", "following": true}),
		content(obj{"type": "contact", "blocking": true}),
		content(obj{"type": obj{"$in": []any{"gathering", "channel"}}}),
		content(obj{"type": obj{"$prefix": "gath"}}),
		content(obj{"type": obj{"$gt": "odd", "$lt": "post"}}),
		content(obj{"type": obj{"$gte": "gathering", "$lte": "odd"}}),
		content(obj{"type": "post", "text": obj{"$prefix": "the"}}),
		content(obj{"text": 7}),
		content(obj{"text": obj{"$is": "number"}}),
		content(obj{"nested": obj{"list": obj{"0": obj{"to": "$root"}}}}),
		content(obj{"$prefix": "K"}),
		value(obj{"content": obj{"$is": "string"}}),
		value(obj{"private": true}),
		value(obj{"private": true, "content": obj{"type": "post"}}),
		value(obj{"private": obj{"$not": true}, "author": "$@bob"}),
		value(obj{"content": obj{"recps": obj{"$truthy": true}}}),
		value(obj{"content": obj{"type": "post", "recps": []any{"$@me"}}}),
		value(obj{"previous": nil}),
		value(obj{"sequence": 1, "content": obj{"type": "post"}}),
		value(obj{"sequence": obj{"$lt": 2}, "hash": "sha256"}),
		obj{"key": "$root"},
		obj{"key": obj{"$prefix": "%aa"}},
		obj{"key": obj{"$in": []any{"$root", "$r5", "%nonsense"}}},
		obj{"timestamp": obj{"$gt": "$0.timestamp"}},
		obj{"timestamp": obj{"$gte": "$0.timestamp"}},
		obj{"timestamp": obj{"$gt": "$0.timestamp"}, "value": obj{"content": obj{"type": "post"}}},
		obj{"timestamp": "$1.timestamp"},
		obj{"timestamp": obj{"$gt": 0, "$lt": 5}},
		obj{"rts": obj{"$gt": 1_700_000_010_000, "$lt": 1_700_000_013_000}},
		obj{"rts": obj{"$lte": 1_438_787_505_000}},
		obj{"dest": "$root"},
		obj{"nonesuch": 1},
		obj{"nonesuch": nil},
		obj{"nonesuch": obj{"$ne": 1}, "key": "$root"},
	)...)
}

// shapeQueries are queries of query.read whose answers have other shapes.
func shapeQueries() []remote {
	gatherings, channels := filter(content(obj{"type": "gathering"})), filter(content(obj{"type": "channel"}))
	odd := filter(content(obj{"type": "odd"}))
	alice := filter(value(obj{"author": "$@alice"}))
	posts := filter(content(obj{"type": "post"}))
	return asks("query.read",
		// whole messages
		mfr(gatherings), mfr(filter(obj{"key": "$gathering"})),
		mfr(filter(value(obj{"author": "$@alice", "sequence": 2}))),
		mfr(filter(obj{"rts": obj{"$gt": 1_700_000_010_000, "$lt": 1_700_000_012_000}})),
		mfr(filter(value(obj{"timestamp": 1_700_000_010_000}))),
		mfr(filter(obj{"timestamp": "$1.timestamp"})),
		mfr(filter(content(obj{"channel": "ssb dev"}))),
		mfr(filter(obj{"key": "$box1"})), mfr(filter(obj{"key": "$box3"})),
		mfr(filter(value(obj{"private": true, "author": "$@bob"}))),
		mfr(filter(content(obj{"root": "$box1"}))),

		// the query in other forms
		obj{"query": content(obj{"type": "gathering"})}, // an index by its fields, and no filter
		obj{"query": obj{"$filter": content(obj{"type": "gathering"})}, "limit": 1},
		obj{"query": `[{"$filter":{"value":{"content":{"type":"gathering"}}}},{"$map":"key"}]`},
		`[{"$filter":{"value":{"content":{"type":"gathering"}}}},{"$map":"key"}]`,
		obj{"query": []any{gatherings, nil, key}},
		with(mfr(key), "limit", 3), with(mfr(obj{"$map": true}), "limit", 1),
		obj{"limit": 2}, obj{"limit": 1, "reverse": true},
		with(mfr(key, gatherings), "limit", 1), // a filter after the map
		mfr(obj{"$filter": nil}, gatherings, key),

		// order and limit
		with(mfr(alice, key), "reverse", true),
		with(mfr(alice, key), "limit", 3),
		with(with(mfr(alice, key), "limit", 3), "reverse", true),
		with(mfr(alice, key), "limit", 0),
		with(mfr(alice, key), "limit", -1),
		with(mfr(posts, key), "limit", 5), with(with(mfr(posts, key), "limit", 5), "reverse", true),
		with(with(mfr(filter(value(obj{"author": "$@alice", "content": obj{"type": "post"}})), key), "limit", 2), "reverse", true),
		with(with(mfr(filter(content(obj{"root": "$root"})), key), "limit", 2), "reverse", true),
		with(with(mfr(filter(value(obj{"timestamp": obj{"$lt": 1_700_000_012_000}})), key), "limit", 4), "reverse", true),
		with(with(mfr(filter(value(obj{"timestamp": obj{"$lt": 1_700_000_012_000}, "content": obj{"type": "post"}})), key), "limit", 4), "reverse", true),

		// $map
		mfr(gatherings, obj{"$map": true}),
		mfr(gatherings, obj{"$map": []any{"value", "content", "type"}}),
		mfr(gatherings, obj{"$map": "value"}, obj{"$map": "sequence"}),
		mfr(gatherings, obj{"$map": obj{"id": "key", "type": []any{"value", "content", "type"}, "author": []any{"value", "author"}}}),
		mfr(gatherings, obj{"$map": obj{"value": obj{"author": []any{"value", "author"}}, "key": true}}),
		mfr(gatherings, obj{"$map": obj{"missing": "nonesuch", "deep": []any{"a", "b", "c"}, "n": []any{"value", "nonesuch"}}}),
		mfr(gatherings, obj{"$map": "nonesuch"}),
		mfr(gatherings, obj{"$map": []any{"value", "content", "nonesuch", "deeper"}}),
		mfr(odd, obj{"$map": []any{"value", "content", "nested", "list", 0}}),
		mfr(odd, obj{"$map": []any{"value", "content", "nested", "list", -2}}),
		mfr(odd, obj{"$map": []any{"value", "content", "nested"}}),
		mfr(odd, obj{"$map": []any{"value", "content", "text", obj{"$gt": 5}}}),
		mfr(odd, obj{"$map": []any{"value", "content", "text", obj{"$mod": 4}}}),
		mfr(odd, obj{"$map": []any{"value", "content", "text", obj{"$type": true}}}),
		mfr(odd, obj{"$map": obj{"is": []any{"value", "content", "text", obj{"$is": "number"}}, "not": []any{"value", "content", "text", obj{"$not": true}}, "int": []any{"value", "content", "text", obj{"$int": true}}}}),
		mfr(odd, obj{"$map": obj{"$get": []any{"value", "content", "type"}}}),
		mfr(odd, obj{"$map": obj{}}),
		mfr(odd, obj{"$map": obj{"keys": obj{"a": "key", "b": obj{"c": []any{"value", "sequence"}}}}}),
		mfr(filter(content(obj{"type": "vote", "root": "$root"})), obj{"$map": obj{"v": []any{"value", "content", "vote"}}}),

		// $reduce
		mfr(gatherings, obj{"$reduce": obj{"$count": true}}),
		mfr(filter(content(obj{"type": "nonesuch"})), obj{"$reduce": obj{"$count": true}}),
		mfr(posts, obj{"$reduce": obj{"$count": true}}),
		mfr(alice, obj{"$reduce": obj{"type": []any{"value", "content", "type"}, "count": obj{"$count": true}}}),
		mfr(obj{"$reduce": obj{"type": []any{"value", "content", "type"}, "count": obj{"$count": true}}}),
		mfr(posts, obj{"$reduce": obj{"channel": []any{"value", "content", "channel"}, "count": obj{"$count": true}}}),
		mfr(posts, obj{"$reduce": obj{"author": []any{"value", "author"}, "count": obj{"$count": true}, "last": obj{"$max": []any{"value", "timestamp"}}, "first": obj{"$min": []any{"value", "timestamp"}}}}),
		mfr(alice, obj{"$reduce": obj{"$max": []any{"value", "sequence"}}}),
		mfr(alice, obj{"$reduce": obj{"$min": []any{"value", "sequence"}}}),
		mfr(alice, obj{"$reduce": obj{"$sum": []any{"value", "sequence"}}}),
		mfr(channels, obj{"$reduce": obj{"$product": []any{"value", "sequence"}}}),
		mfr(alice, obj{"$reduce": obj{"$collect": []any{"value", "sequence"}}}),
		mfr(alice, obj{"$reduce": obj{"type": []any{"value", "content", "type"}, "all": obj{"$collect": []any{"value", "sequence"}}}}),
		mfr(alice, obj{"$reduce": obj{"max": obj{"$max": []any{"value", "sequence"}}, "n": obj{"$count": true}}}),
		mfr(filter(content(obj{"type": "about", "about": obj{"$prefix": "@"}})), obj{"$reduce": obj{
			"about": []any{"value", "content", "about"}, "by": obj{"author": []any{"value", "author"}}, "names": obj{"$collect": []any{"value", "content", "name"}}}}),
		with(mfr(alice, obj{"$reduce": obj{"type": []any{"value", "content", "type"}, "count": obj{"$count": true}}}), "limit", 2),
		mfr(alice, obj{"$reduce": obj{"type": []any{"value", "content", "type"}, "count": obj{"$count": true}}}, filter(obj{"count": obj{"$gt": 2}})),
		mfr(alice, obj{"$reduce": obj{"type": []any{"value", "content", "type"}, "count": obj{"$count": true}}}, obj{"$map": "type"}),
		mfr(alice, obj{"$map": []any{"value", "content", "type"}}, obj{"$reduce": obj{"$count": true}}),

		// $sort
		mfr(alice, obj{"$sort": []any{[]any{"value", "timestamp"}}}, key),
		mfr(alice, key, obj{"$sort": []any{[]any{"value", "timestamp"}}}),
		mfr(alice, obj{"$map": obj{"t": []any{"value", "content", "type"}, "s": []any{"value", "sequence"}}}, obj{"$sort": []any{[]any{"t"}, []any{"s"}}}),
		mfr(alice, obj{"$map": obj{"t": []any{"value", "content", "type"}, "s": []any{"value", "sequence"}}}, obj{"$sort": []any{"t", obj{"$reverse": "s"}}}),
		mfr(filter(value(obj{"content": obj{"type": "post"}, "timestamp": obj{"$lt": 1_700_000_072_000}})),
			obj{"$map": obj{"c": []any{"value", "content", "channel"}, "k": "key"}}, obj{"$sort": []any{[]any{"k"}}}),
		with(mfr(alice, obj{"$map": obj{"s": []any{"value", "sequence"}}}, obj{"$sort": []any{obj{"$reverse": []any{"s"}}}}), "limit", 3),
		mfr(alice, obj{"$reduce": obj{"type": []any{"value", "content", "type"}, "count": obj{"$count": true}}}, obj{"$sort": []any{[]any{"count"}, []any{"type"}}}),

		// odd settings
		mfr(filter("key")), mfr(filter(7)),
		with(mfr(gatherings, key), "reverse", "yes"),
		with(mfr(gatherings, key), "live", false), with(mfr(gatherings, key), "old", true),
	)
}

// backlinkQueries are questions to backlinks.read.
func backlinkQueries() []remote {
	dest := func(id string) obj { return filter(obj{"dest": id}) }
	var args []any
	for _, id := range []string{
		"$root", "$r1", "$r3", "$root2", "$s1", "$text0", "$box1", "$gathering", "$last", "$@alice", "$@bob", "$@me", "$@carol", image,
		"#ssb-dev", "#SSB-Dev", "#ssbdev", "#ümläut", "#Ümläut", "#" + long('a', 28), "#" + long('b', 29), "#" + long('c', 30), "#" + long('d', 30), "#" + long('d', 29), "#" + long('d', 40),
		"#ssb dev", "#x", "##x", "#a.b", "#ab", "#7", "#", "#list.channel", "#listchannel", "#proident", "%6CAxOI3f+LUOVrbAl0IemqiS7ATpQvr9Mdw9LC4+Uv0=.sha256", "nonsense", "",
	} {
		args = append(args, mfr(dest(id), key))
	}
	args = append(args,
		// whole messages, by each index
		mfr(dest("$r1")), mfr(filter(obj{"dest": "$r1", "value": obj{"content": obj{"type": "vote"}}})),
		with(mfr(dest("$r1")), "index", "DTA"), with(mfr(dest("$r1")), "index", "DTS"), with(mfr(dest("$r1")), "index", "TDT"),
		mfr(filter(obj{"dest": "$r1", "rts": obj{"$gt": 0}})), mfr(filter(obj{"dest": "$r1", "timestamp": obj{"$gt": 0}})),
		mfr(dest("$box1")), mfr(dest("$@carol"), filter(value(obj{"private": true}))),
		obj{"query": obj{"dest": "$r1"}}, obj{"query": []any{obj{"$filter": obj{"dest": "$r1"}}}, "limit": 1},

		// filters
		mfr(filter(obj{"dest": "$root", "value": obj{"content": obj{"root": "$root"}}}), key),
		mfr(filter(obj{"dest": "$root", "value": obj{"author": "$@bob"}}), key),
		mfr(filter(obj{"dest": "$root", "value": obj{"content": obj{"type": "post"}}}), key),
		mfr(filter(obj{"dest": "$@alice", "value": obj{"content": obj{"type": "about", "about": "$@alice"}}}), key),
		mfr(filter(obj{"dest": "$root", "value": obj{"timestamp": obj{"$gt": 1_700_000_006_000}}}), key),
		mfr(filter(obj{"dest": "$root", "rts": obj{"$gt": 1_700_000_006_000}}), key),
		mfr(filter(obj{"dest": "$root", "rts": obj{"$lt": 1_700_000_006_000}}), key),
		mfr(filter(obj{"dest": "$root", "timestamp": obj{"$gt": "$0.timestamp"}}), key),
		mfr(filter(obj{"dest": obj{"$prefix": "#ssb"}}), obj{"$map": "dest"}),
		mfr(filter(obj{"dest": obj{"$prefix": "#ssb"}, "value": obj{"content": obj{"type": "channel"}}}), obj{"$map": "dest"}),
		mfr(filter(obj{"dest": "$root", "value": obj{"private": true}}), key),
		mfr(filter(obj{"dest": "$root", "value": obj{"private": obj{"$ne": true}}}), key),

		// order and limit
		with(mfr(dest("$root"), key), "reverse", true), with(mfr(dest("$root"), key), "limit", 2),
		with(with(mfr(dest("$root"), key), "limit", 2), "reverse", true),
		with(with(mfr(dest("$root"), key), "index", "DTA"), "reverse", true),
		with(with(mfr(dest("#ssb-dev"), key), "index", "DTA"), "limit", 3),
		mfr(dest("$root"), obj{"$sort": []any{[]any{"dest"}, []any{"rts"}}}),
		mfr(dest("$root"), key, obj{"$sort": []any{[]any{"dest"}, []any{"timestamp"}}}),
		mfr(dest("$root"), obj{"$sort": []any{[]any{"value", "timestamp"}}}),
		with(mfr(dest("$root"), key), "live", false), with(mfr(dest("$root"), key), "old", true),

		// maps and reduces
		mfr(dest("$root"), obj{"$map": []any{"value", "content", "type"}}),
		mfr(dest("$root"), obj{"$reduce": obj{"$count": true}}),
		mfr(dest("$root"), obj{"$reduce": obj{"type": []any{"value", "content", "type"}, "count": obj{"$count": true}}}),
		mfr(dest("$root"), obj{"$map": obj{"d": "dest", "t": "rts", "r": "timestamp"}}),

		// by type
		mfr(filter(content(obj{"type": "gathering"})), obj{"$map": "dest"}),
		with(mfr(filter(content(obj{"type": "about"})), obj{"$map": "dest"}), "limit", 5),
		mfr(filter(obj{"dest": obj{"$prefix": "#"}}), obj{"$reduce": obj{"dest": "dest", "n": obj{"$count": true}}}),
	)
	return asks("backlinks.read", args...)
}

// searchQueries are questions to search.query in words that the plugin knows:
// ASCII, in small letters, of three and more characters.
func searchQueries() []remote {
	var args []any
	for _, text := range []string{
		"fox", "lazy fox", "fox lazy", "quick brown", "foxes", "fo fox", "nonesuch", "fox nonesuch",
		"fox*", "foxg", "\"lazy fox\"", "fox -lazy", "col:fox", "emoji fox-trot", "fox-trot", "trot",
		"under_score", "under", "snake_case", "12345", "foo_bar@example.com", "example.com", "node.js", "quoted words",
		"^fox", "{fox}", "fox;", "fox\x00", "%root", "secret", "listed", "foxglove", "deep", "wolves", "north",
		"consequat cupidatat", "the", "and", "lazy lazy",
	} {
		args = append(args, obj{"query": text})
	}
	args = append(args,
		obj{"query": "fox", "limit": 2}, obj{"query": "fox", "limit": 0}, obj{"query": "fox", "reverse": true},
		obj{"query": 7}, obj{"query": nil}, obj{"query": []any{"fox"}}, obj{}, nil,
		obj{"query": "fox", "live": true}, obj{"text": "fox"}, obj{"query": "fox", "values": false})
	return asks("search.query", args...)
}

// own is a question that is put to us alone, since it stops ssb-server, or is
// never answered there, or is answered with what we mend on purpose.
type own struct {
	remote
	want  []string // the items, in any order; nil: whatever they are, or an error
	fails string   // what the error says
}

// ownQueries are questions that the plugins do not bear.
func ownQueries() (all []own) {
	add := func(method string, arg any, want ...string) {
		all = append(all, own{remote: asks(method, arg)[0], want: want})
	}
	fails := func(method string, arg any, says string) {
		all = append(all, own{remote: asks(method, arg)[0], fails: says})
	}
	gatherings := filter(content(obj{"type": "gathering"}))
	// An operator that chooses an index ends the whole ssb-server.
	add("query.read", mfr(filter(content(obj{"type": obj{"$eq": "gathering"}})), key), "$gathering")
	add("backlinks.read", mfr(filter(obj{"dest": obj{"$in": []any{"$r1", "$s1"}}}), key), "$r3", "$vote2")
	// So does what cannot be asked.
	fails("query.read", mfr(obj{"$nonesuch": 1}), "unknown function:$nonesuch")
	fails("query.read", mfr(obj{"filter": 1}), "unknown function:filter")
	fails("query.read", mfr(filter(obj{"key": obj{"$nonesuch": 1}})), "could not process:")
	fails("query.read", mfr(gatherings, obj{"$map": obj{"$nonesuch": 1}}), "could not process:")
	fails("query.read", mfr(gatherings, obj{"$reduce": obj{"$nonesuch": 1}}), "could not process:")
	fails("query.read", mfr(gatherings, obj{"$map": nil}), "could not process:")
	fails("query.read", "nonsense", "JSON")
	fails("backlinks.read", mfr(filter(obj{"dest": "$root"}), obj{"$nonesuch": 1}), "unknown function:$nonesuch")
	fails("backlinks.read", with(mfr(filter(obj{"dest": "$r1"})), "index", "XYZ"), "Invalid index: XYZ")
	// These are never answered.
	for _, text := range []string{"", "   ", "'", "\"", "\"\"", "(", ")", "*", "-"} {
		add("search.query", obj{"query": text})
	}
	add("query.read", with(mfr(gatherings, key), "limit", "two"))
	add("query.read", mfr(gatherings, obj{"$reduce": 7}))
	// These are answered in the words of the JavaScript engine, or with all there is.
	for _, step := range []any{obj{}, 7, nil, []any{}, obj{"$filter": obj{"value": obj{"author": obj{"$in": 7}}}}, obj{"$sort": "key"}} {
		for _, method := range []string{"query.read", "backlinks.read"} {
			add(method, with(mfr(step), "limit", 1))
		}
	}
	for _, query := range []any{7, "nonsense", []any{}, true} {
		for _, method := range []string{"query.read", "backlinks.read"} {
			add(method, obj{"query": query, "limit": 1})
		}
	}
	add("query.read", mfr(filter(obj{"key": obj{"$prefix": 7}})))
	add("search.query", 7)
	// The stages themselves are no query there, so that everything comes.
	add("query.read", []any{gatherings, key}, "$gathering")
	// What begins like that and goes on with a space is not found by an index.
	add("query.read", mfr(filter(content(obj{"channel": obj{"$prefix": "ssb"}})), key), "$ch1", "$ch3", "$ch6", "$ch10", "$box1")
	// Words of other scripts, and capitals: the plugin finds none of them.
	add("search.query", obj{"query": "ферма"}, "$text4")
	add("search.query", obj{"query": "KÖLN"}, "$text3")
	add("search.query", obj{"query": "Foxglove"}, "$text11")
	return all
}

// otherQueries are questions to tangle.branch and about the names of feeds.
func otherQueries() (calls []remote) {
	async := func(method string, args ...any) { // the members of an answer have no order
		calls = append(calls, remote{Method: method, Args: args, Wait: 60_000, loose: true})
	}
	for _, id := range []any{"$root", "$root2", "$r3", "$text0", "$s4", "$box1", "$last", "$alone", "%6CAxOI3f+LUOVrbAl0IemqiS7ATpQvr9Mdw9LC4+Uv0=.sha256", "$@alice", image, "nonsense", "", 7, nil, obj{"root": "$root"}, obj{"id": "$root"}} {
		async("tangle.branch", id)
	}
	async("names.get", obj{})
	async("names.get")
	async("names.getImages", obj{})
	for _, id := range []any{"$@alice", "$@bob", "$@carol", "$@me", somebody, "nonsense"} {
		async("names.getSignifier", id)
		async("names.getImageFor", id)
	}
	for _, name := range []string{"Al", "the", "bob", "Bob", "B", "b", "my", "nonesuch"} {
		async("names.getSignifies", name)
	}
	for _, dest := range []any{"$@alice", "$@bob", "$@carol", "$@me", "$gathering", somebody, "nonsense"} {
		for _, name := range []string{"name", "image", "title", "attendee", "age", "nonesuch"} {
			for _, method := range []string{"about.socialValue", "about.latestValue", "about.socialValues"} {
				async(method, obj{"key": name, "dest": dest})
			}
		}
		async("about.latestValues", obj{"keys": []any{"name", "image", "title"}, "dest": dest})
		calls = append(calls, asks("about.read", obj{"dest": dest}, obj{"dest": dest, "reverse": true, "limit": 1})...)
	}
	for _, method := range []string{"about.socialValueStream", "about.latestValueStream", "about.socialValuesStream"} {
		for _, dest := range []any{"$@alice", "$gathering"} {
			for _, name := range []string{"name", "title"} {
				calls = append(calls, remote{Method: method, Type: "source", Args: []any{obj{"key": name, "dest": dest}}, Take: 1, Wait: 60_000, Ends: true, loose: true})
			}
		}
	}
	return calls
}

// liveQueries are streams that are open while something is published. The first
// two calls of all publish as well.
func liveQueries() (calls []remote) {
	live := func(take int, method string, arg any) {
		calls = append(calls, remote{Method: method, Type: "source", Args: []any{arg}, Take: take, Wait: 60_000, Behind: true})
	}
	marked := filter(content(obj{"marked": obj{"$truthy": true}}))
	posts := filter(content(obj{"type": "post", "marked": obj{"$truthy": true}}))
	root := filter(obj{"dest": "$root2", "value": obj{"content": obj{"marked": obj{"$truthy": true}}}})
	for i, q := range []struct {
		method string
		query  obj
		take   int
	}{
		{"query.read", mfr(marked, key), 2}, {"query.read", mfr(posts, key), 2}, {"query.read", mfr(posts), 1},
		{"query.read", mfr(posts, obj{"$map": []any{"value", "content", "text"}}), 2},
		{"backlinks.read", mfr(root, key), 1}, {"backlinks.read", mfr(root), 1},
	} {
		live(q.take, q.method, with(with(q.query, "live", true), "old", false))
		live(q.take+1, q.method, with(with(with(q.query, "live", true), "old", false), "sync", true))
		live(q.take+1, q.method, with(q.query, "live", true)) // a mark, or what there was, and then the new ones
		live(q.take+1, q.method, with(with(q.query, "live", true), "sync", true))
		live(q.take, q.method, with(with(q.query, "live", true), "sync", false))
		live(1, q.method, with(with(q.query, "live", true), "limit", 1))
		if i > 0 { // ssb-query sends nothing new of the log backwards
			live(q.take, q.method, with(with(with(q.query, "live", true), "old", false), "reverse", true))
		}
	}
	async := func(method string, args ...any) {
		calls = append(calls, remote{Method: method, Args: args, Wait: 30_000})
	}
	// When all messages were gone through a few times, the streams above have begun.
	for range 5 {
		calls = append(calls, asks("query.read", mfr(obj{"$reduce": obj{"type": []any{"value", "content", "type"}, "n": obj{"$count": true}}}))...)
		async("whoami")
	}
	async("publish", obj{"type": "post", "text": "one", "root": "$root2", "branch": "$s4", "marked": true})
	async("publish", obj{"type": "post", "text": "two", "marked": 2})
	async("publish", obj{"type": "vote", "vote": obj{"link": "$root2", "value": 1}, "marked": true})
	async("publish", obj{"type": "post", "text": "three, in private", "root": "$root2", "marked": true, "recps": []any{"$id"}})
	async("tangle.branch", "$root2")
	calls[len(calls)-1].set = true // in the order of ids that are new
	calls = append(calls, asks("search.query", obj{"query": "three"}, obj{"query": "private"})...)
	calls = append(calls, asks("backlinks.read", mfr(filter(obj{"dest": "$root2"}), key))...)
	return calls
}
