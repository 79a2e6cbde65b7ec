package node

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/ssbsync/ssbsync/spec/ecmajson"
	"github.com/ssbsync/ssbsync/spec/muxrpc"
	"github.com/ssbsync/ssbsync/store"
	"github.com/ssbsync/ssbsync/sync/views"
)

// viewsFile is the file of the index on which apps search. It may be deleted
// while nobody has the home folder open.
const viewsFile = ownDir + "/views.db"

// viewsTitle is what it is called where ssb-server lists its indexes.
const viewsTitle = "views"

// addViews adds the methods on the index of apps: those of npm ssb-query,
// ssb-backlinks, ssb-search, ssb-tangle, ssb-names and ssb-about.
func (n *Node) addViews(m *muxrpc.Mux) {
	m.Source("query.read", n.queryRead)
	m.Async("query.explain", n.queryExplain)
	m.Async("query.help", viewsHelp("query.read({query, limit, reverse, live, old, sync}): messages through a map-filter-reduce query"))
	m.Source("backlinks.read", n.backlinksRead)
	m.Source("search.query", n.searchQuery)
	m.Async("search.help", viewsHelp("search.query({query, limit}): messages whose text has all words, or words that begin so"))
	m.Async("tangle.branch", n.tangleBranch)
	m.Async("names.get", n.namesGet)
	m.Async("names.getImages", n.namesGetImages)
	m.Async("names.getImageFor", n.namesGetImageFor)
	m.Async("names.getSignifier", n.namesGetSignifier)
	m.Async("names.getSignifies", n.namesGetSignifies)
	m.Async("about.socialValue", n.aboutSocialValue)
	m.Async("about.socialValues", n.aboutSocialValues)
	m.Async("about.latestValue", n.aboutLatestValue)
	m.Async("about.latestValues", n.aboutLatestValues)
	m.Source("about.read", n.aboutRead)
	m.Source("about.socialValueStream", n.aboutSocialValueStream)
	m.Source("about.socialValuesStream", n.aboutSocialValuesStream)
	m.Source("about.latestValueStream", n.aboutLatestValueStream)
}

// viewsHelp answers what a plugin is for.
func viewsHelp(text string) func(context.Context, *muxrpc.Call) (any, error) {
	return func(context.Context, *muxrpc.Call) (any, error) {
		return struct {
			Description string `json:"description"`
		}{text}, nil
	}
}

// newViews makes the index of apps. Nothing is opened yet.
func (n *Node) newViews() *views.Views {
	return views.New(views.Config{
		Store: n.store, Path: filepath.Join(n.options.Home, filepath.FromSlash(viewsFile)), Owner: n.keys.Feed(),
		Log: n.options.Log, Plain: n.private.plain, Late: n.private.lately.Load,
	})
}

// catchUpViews indexes what was received since the last time. It returns the
// receive number up to which everything is indexed.
func (n *Node) catchUpViews(ctx context.Context) (last uint64, err error) {
	last = n.store.Last()
	if err := n.private.catchUp(ctx); err != nil {
		return 0, err
	}
	return last, spaceError(n.views.CatchUp(ctx))
}

// followViews keeps the index of apps up to date until ctx ends. While messages
// pour in it stands aside, block by block. Apps can do without it: when it
// fails, that is said and tried again when there is more.
func (n *Node) followViews(ctx context.Context) error {
	for done := uint64(0); ; {
		if err := n.store.Wait(ctx, done); err != nil {
			return err
		}
		err := n.private.catchUp(ctx)
		for more := true; more && err == nil; {
			if last := n.store.Last(); last-done >= store.MaxPage {
				if err := n.waitForQuiet(ctx); err != nil {
					return err
				}
			}
			done = n.store.Last()
			more, err = n.views.Step(ctx)
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, store.ErrClosed):
			return err
		case err != nil:
			n.options.Log.Warn("indexing messages for apps failed", "err", err)
		}
	}
}

// record reads a message with its content in clear, if it is for us, or nil
// when it is not there any more.
func (n *Node) record(rx uint64) (*store.Record, error) {
	rec, err := n.store.Rx(rx)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	rec = n.private.reveal(rec)
	return &rec, nil
}

// contentOf returns the content of a message as the record has it: in clear if
// that was revealed.
func contentOf(rec *store.Record) []byte { return ecmajson.Get(rec.Value, "content") }
