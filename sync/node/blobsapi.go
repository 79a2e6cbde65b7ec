package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/spec/refs"
	blobfiles "github.com/ssbsync/ssbsync/store/blobs"
	"github.com/ssbsync/ssbsync/sync/blobs"
	"github.com/ssbsync/ssbsync/sync/gossip"
)

// addBlobs adds the methods of ssb-blobs, in its shapes and words.
func (n *Node) addBlobs(m *muxrpc.Mux) {
	b := n.blobs
	m.Source("blobs.get", b.get)
	m.Source("blobs.getSlice", b.getSlice)
	m.Sink("blobs.add", b.add)
	m.Async("blobs.has", b.has)
	m.Async("blobs.size", b.size)
	m.Async("blobs.meta", b.meta)
	m.Async("blobs.rm", b.rm)
	m.Source("blobs.ls", b.ls)
	m.Async("blobs.want", b.want)
	m.Source("blobs.wants", b.wants)
	m.Async("blobs.push", b.push)
	m.Source("blobs.changes", b.changes)
	m.Source("blobs.createWants", b.createWants)
	m.Sync("blobs.help", b.help)
}

// blobsEnded makes it no error that the caller has had enough.
func blobsEnded(err error) error {
	if isEnd(err) {
		return nil
	}
	return err
}

// blobSlice are the options of get and getSlice.
type blobSlice struct {
	ID   string `json:"id"`
	Key  string `json:"key"`
	Hash string `json:"hash"`

	Size  *int64          `json:"size"`
	Max   *int64          `json:"max"`
	Start json.RawMessage `json:"start"`
	End   json.RawMessage `json:"end"`
}

// readSlice reads the argument of a method and finds the blob.
func readSlice(c *muxrpc.Call, method string) (o blobSlice, id refs.Blob, err error) {
	raw := argument(c, 0)
	if json.Unmarshal(raw, &o.ID) != nil {
		o.ID = ""
		if err := json.Unmarshal(raw, &o); err != nil {
			o = blobSlice{}
		}
	}
	for _, text := range []string{o.ID, o.Key, o.Hash} {
		if id, err = refs.ParseBlob(text); err == nil {
			return o, id, nil
		}
	}
	return o, id, usage("multiblob.%s: {id} is mandatory", method)
}

// get sends a blob: get(id), or get({id, size, max}).
func (b *blobKeeper) get(ctx context.Context, c *muxrpc.Call, st *muxrpc.Stream) error {
	o, id, err := readSlice(c, "get")
	if err != nil {
		return err
	}
	return b.give(ctx, st, &o, id, 0, 0)
}

// getSlice sends part of a blob: getSlice({id, start, end, size, max}).
func (b *blobKeeper) getSlice(ctx context.Context, c *muxrpc.Call, st *muxrpc.Stream) error {
	o, id, err := readSlice(c, "getSlice")
	if err != nil {
		return err
	}
	var bounds [2]int64
	for i, raw := range []json.RawMessage{o.Start, o.End} {
		var n *float64
		if len(raw) == 0 || json.Unmarshal(raw, &n) != nil || n != nil && (*n < 0 || *n > math.MaxInt32 || *n != math.Trunc(*n)) {
			return usage("multiblob.getSlice: {%s} must be a number", []string{"start", "end"}[i])
		}
		if n != nil {
			bounds[i] = int64(*n)
		}
	}
	if bounds[1] != 0 && bounds[0] > bounds[1] {
		return usage("multiblob.getSlice: {end} must not be less than {start}")
	}
	return b.give(ctx, st, &o, id, bounds[0], bounds[1])
}

// give sends the bytes of a blob from start up to end; 0 stands for its end.
func (b *blobKeeper) give(ctx context.Context, st *muxrpc.Stream, o *blobSlice, id refs.Blob, start, end int64) error {
	open := func() (io.ReadCloser, error) { return b.openSlice(o, id, start, end) }
	if remote, _, ok := gossip.Remote(ctx); ok && remote != b.node.keys.Feed() {
		return blobsEnded(b.exchange.Give(ctx, remote, st, open))
	}
	r, err := open()
	if err != nil {
		return err
	}
	defer r.Close()
	return blobsEnded(blobs.Send(ctx, st, r))
}

func (b *blobKeeper) openSlice(o *blobSlice, id refs.Blob, start, end int64) (io.ReadCloser, error) {
	f, err := b.files.Open(id)
	if err != nil {
		return nil, errors.New("could not get blob") // as multiblob says of all errors
	}
	size := f.Size()
	if o.Size != nil && *o.Size != size || o.Max != nil && size > *o.Max {
		f.Close()
		requested := "undefined"
		if o.Size != nil {
			requested = fmt.Sprint(*o.Size)
		}
		return nil, fmt.Errorf("incorrect file length, requested:%s file was:%d for file:%s", requested, size, id)
	}
	if end == 0 || end > size {
		end = size
	}
	start = min(start, end)
	return struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(f, start, end-start), f}, nil
}

// add stores what it receives, bytes or text: add(id), or add(). The caller
// knows the id: it is the hash.
func (b *blobKeeper) add(ctx context.Context, c *muxrpc.Call, st *muxrpc.Stream) error {
	var want refs.Blob
	if raw := argument(c, 0); !falsy(raw) {
		id, ok := blobArgument(raw)
		if !ok {
			return usage("not a valid hash: %s", textOf(raw))
		}
		want = id
	}
	w, err := b.files.NewWriter(0)
	if err != nil {
		return spaceError(err)
	}
	defer w.Close()
	for {
		item, err := st.Recv(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if item.Kind == muxrpc.JSON {
			return usage("blobs.add: takes bytes or text")
		}
		if _, err := w.Write(item.Body); err != nil {
			b.warnNotStored(err)
			return spaceError(err)
		}
	}
	info, err := w.Commit(want)
	if err != nil {
		return spaceError(err)
	}
	return b.own(info.ID)
}

// warnNotStored says why a blob was not stored: npm ssb-client has called back by then,
// so that git-ssb and others do not notice.
func (b *blobKeeper) warnNotStored(err error) {
	b.node.options.Log.Warn("a program's blob is not stored", "error", err, "hint", "blobs.max in config")
}

// blobArgument reads an argument that is a blob id, or an object that has one.
func blobArgument(raw json.RawMessage) (id refs.Blob, ok bool) {
	if json.Unmarshal(raw, &id) == nil && !id.IsZero() {
		return id, true
	}
	var o struct {
		ID refs.Blob `json:"id"`
	}
	if json.Unmarshal(raw, &o) != nil || o.ID.IsZero() {
		return refs.Blob{}, false
	}
	return o.ID, true
}

// textOf is how JavaScript puts an argument into a text: null for what ssb-blobs
// does not take for an id.
func textOf(raw json.RawMessage) string {
	var list []any
	if json.Unmarshal(raw, &list) != nil || list == nil {
		return "null"
	}
	texts := make([]string, len(list))
	for i := range list {
		texts[i] = fmt.Sprint(list[i])
	}
	return strings.Join(texts, ",")
}

// oneBlob reads the first argument of a call as a blob id.
func oneBlob(c *muxrpc.Call, what string) (refs.Blob, error) {
	raw := argument(c, 0)
	id, ok := blobArgument(raw)
	if !ok {
		return id, usage("invalid %s:%s", what, textOf(raw))
	}
	return id, nil
}

// maxIDs bounds a list of ids in an argument.
const maxIDs = 1 << 16

// eachBlob answers a question about one blob, or the list of answers for a
// list.
func eachBlob(c *muxrpc.Call, answer func(refs.Blob) any) (any, error) {
	raw := argument(c, 0)
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil || list == nil {
		id, err := oneBlob(c, "id")
		if err != nil {
			return nil, err
		}
		return answer(id), nil
	}
	if len(list) > maxIDs {
		return nil, usage("%s: more than %d ids", c.Name(), maxIDs)
	}
	answers := make([]any, len(list))
	for i := range list {
		id, ok := blobArgument(list[i])
		if !ok {
			var text string
			_ = json.Unmarshal(list[i], &text)
			return nil, usage("invalid id:%.100s", text)
		}
		answers[i] = answer(id)
	}
	return answers, nil
}

// has answers whether blobs are here: has(id), or has([id, …]).
func (b *blobKeeper) has(_ context.Context, c *muxrpc.Call) (any, error) {
	return eachBlob(c, func(id refs.Blob) any { return b.files.Has(id) })
}

// size answers how large blobs are, null for those that are not here.
func (b *blobKeeper) size(_ context.Context, c *muxrpc.Call) (any, error) {
	return eachBlob(c, func(id refs.Blob) any {
		size, err := b.files.Size(id)
		if err != nil {
			return jsonNull
		}
		return size
	})
}

// BlobMeta is what is known of a blob.
type BlobMeta struct {
	ID   refs.Blob `json:"id"`
	Size int64     `json:"size"` // bytes
	Time int64     `json:"ts"`   // when it was stored, milliseconds since 1970
}

func metaOf(info blobfiles.Info) BlobMeta { return BlobMeta(info) }

// meta answers id, size and time of a blob.
func (b *blobKeeper) meta(_ context.Context, c *muxrpc.Call) (any, error) {
	id, err := oneBlob(c, "id")
	if err != nil {
		return nil, err
	}
	info, err := b.files.Info(id)
	if err != nil {
		return nil, err
	}
	return metaOf(info), nil
}

// rm removes a blob.
func (b *blobKeeper) rm(_ context.Context, c *muxrpc.Call) (any, error) {
	id, err := oneBlob(c, "id")
	if err != nil {
		return nil, err
	}
	return nil, b.remove(id)
}

// want wants a blob and answers true when it is here: want(id). With
// {nowait: true} as the second argument it answers at once whether it is.
func (b *blobKeeper) want(ctx context.Context, c *muxrpc.Call) (any, error) {
	id, err := oneBlob(c, "id")
	if err != nil {
		return nil, err
	}
	var o struct {
		NoWait bool `json:"nowait"`
	}
	if raw := argument(c, 1); !falsy(raw) {
		if err := json.Unmarshal(raw, &o); err != nil {
			return nil, usage("blobs.want: options: %v", muxrpc.ArgumentError(err))
		}
	}
	if err := ignoreNotFound(b.node.store.Table(blobRefusedTable).Delete(id[:])); err != nil {
		return nil, err
	}
	if err := b.exchange.Want(id); err != nil {
		return nil, err
	}
	if !b.files.Has(id) {
		b.asks.add()
	}
	if o.NoWait {
		return b.files.Has(id), nil
	}
	return true, b.exchange.Wait(ctx, id)
}

// WantedBlob is what blobs.wants sends.
type WantedBlob struct {
	ID   refs.Blob `json:"id"`
	Hops int       `json:"hops"` // −1 for us, −2 for a peer, −3 for one of its
	Why  string    `json:"why"`  // asked, referenced or sympathy
}

// wants sends what is wanted and not here.
func (b *blobKeeper) wants(ctx context.Context, _ *muxrpc.Call, st *muxrpc.Stream) error {
	if b.node.server.Load() == nil { // otherwise run keeps it up to date
		if err := b.node.policy.refresh(ctx); err != nil {
			return err
		}
		if err := b.review(ctx); err != nil {
			return err
		}
	}
	for _, w := range b.exchange.Wants() {
		if err := st.Send(ctx, WantedBlob{w.ID, w.Hops, w.Origin.String()}); err != nil {
			return blobsEnded(err)
		}
	}
	return nil
}

// push offers a blob to peers until enough of them have it.
func (b *blobKeeper) push(_ context.Context, c *muxrpc.Call) (any, error) {
	id, err := oneBlob(c, "hash")
	if err != nil {
		return nil, err
	}
	if err := b.exchange.Push(id); err != nil {
		return nil, err
	}
	b.asks.add()
	return nil, nil
}

// createWants tells a peer what we want, and have of what it wants.
func (b *blobKeeper) createWants(ctx context.Context, _ *muxrpc.Call, st *muxrpc.Stream) error {
	remote, _, ok := gossip.Remote(ctx)
	if !ok {
		remote = b.node.keys.Feed()
	}
	return b.exchange.ServeWants(ctx, remote, st)
}

// lsOptions are the options of blobs.ls.
type lsOptions struct {
	Old  setting `json:"old"`
	Live setting `json:"live"`
	Sync setting `json:"sync"`
	Long setting `json:"long"`
	Meta setting `json:"meta"`
	Size setting `json:"size"`
}

// ls sends the ids of the blobs that are here, by id, and, live, of those that
// come; with meta (or long, or size) also size and time.
func (b *blobKeeper) ls(ctx context.Context, c *muxrpc.Call, st *muxrpc.Stream) error {
	var o lsOptions
	if err := options(c, &o); err != nil {
		return err
	}
	old := o.Old != settingFalse
	live := o.Live.truthy() || !old
	long := o.Long.truthy() || o.Meta.truthy() || o.Size.truthy()
	last := b.files.Last()
	if old {
		for info, err := range b.files.All() {
			if err == nil {
				err = sendBlob(ctx, st, info, long)
			}
			if err != nil {
				return blobsEnded(err)
			}
		}
	}
	if !live {
		return nil
	}
	if old && o.Sync != settingFalse {
		if err := st.Send(ctx, json.RawMessage(`{"sync":true}`)); err != nil {
			return blobsEnded(err)
		}
	}
	return b.sendAdded(ctx, st, last, long)
}

// changes sends the ids of the blobs that come, to the user and his apps. To
// strangers, who may call it, it sends nothing: who knows the id of a blob can
// get it, and which ones are added here, or come with private messages, is none
// of their business. What they want they are told by createWants.
func (b *blobKeeper) changes(ctx context.Context, _ *muxrpc.Call, st *muxrpc.Stream) error {
	if remote, _, ok := gossip.Remote(ctx); ok && !b.node.isMaster(remote) {
		<-ctx.Done()
		return nil
	}
	return b.sendAdded(ctx, st, b.files.Last(), false)
}

func (b *blobKeeper) sendAdded(ctx context.Context, st *muxrpc.Stream, last uint64, long bool) error {
	for {
		if err := b.files.WaitAdded(ctx, last); err != nil {
			return blobsEnded(err)
		}
		var list []blobfiles.Info
		list, last, _ = b.files.Added(last, 1000)
		for _, info := range list {
			if err := sendBlob(ctx, st, info, long); err != nil {
				return blobsEnded(err)
			}
		}
	}
}

func sendBlob(ctx context.Context, st *muxrpc.Stream, info blobfiles.Info, long bool) error {
	if long {
		return st.Send(ctx, metaOf(info))
	}
	return st.Send(ctx, info.ID.String())
}

// help answers which methods there are.
func (b *blobKeeper) help(context.Context, *muxrpc.Call) (any, error) {
	type method struct {
		Type        muxrpc.Type `json:"type"`
		Description string      `json:"description,omitempty"`
	}
	return struct {
		Description string            `json:"description"`
		Commands    map[string]method `json:"commands"`
	}{"retrieve, store, and share blobs", map[string]method{
		"add":         {muxrpc.Sink, "add a blob"},
		"get":         {muxrpc.Source, "get a blob"},
		"getSlice":    {muxrpc.Source, "get part of a blob"},
		"has":         {muxrpc.Async, "check if a blob is in the local store"},
		"size":        {muxrpc.Async, "get the size for a blob in the local store"},
		"meta":        {muxrpc.Async, "get id, size and time of a blob in the local store"},
		"want":        {muxrpc.Async, "request a blob from the network, wait until found"},
		"wants":       {muxrpc.Source, "list what is wanted and not here"},
		"push":        {muxrpc.Async, "ask the network to take the blob, until enough peers have it"},
		"rm":          {muxrpc.Async, "remove a blob from the local store"},
		"ls":          {muxrpc.Source, "list all blobs"},
		"changes":     {muxrpc.Source, "stream the ids of blobs that are stored from now on"},
		"createWants": {muxrpc.Source, "what is wanted, and what is here of what the caller wants"},
	}}, nil
}
