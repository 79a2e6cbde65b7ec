package stick

import (
	"io/fs"
	"os"

	"github.com/ssbsync/ssbsync/spec/keys"
	"github.com/ssbsync/ssbsync/spec/refs"
)

// ParseHave, EncodeHave, ParseMarker and FormatMarker are the codecs of the
// two files that foreign programs write.
func ParseHave(b []byte) (*Have, error)          { return parseHave(b) }
func EncodeHave(h *Have, pair *keys.Pair) []byte { return h.encode(pair) }
func HaveName(store ID, counter uint64) string   { return haveFile{store, counter}.path() }
func OurFormats() []string                       { return ourFormats() }

// NewestVisit is newestVisit for a store that trusts the identities whose first
// byte is even.
func NewestVisit(haves []*Have, own *Have) uint64 {
	return newestVisit(haves, own, func(f refs.Feed) bool { return f[0]%2 == 0 })
}

func ParseNames(dir, name string) (bundle, have, part bool) {
	_, bundle = parseBundleFile(dir, name)
	_, have = parseHaveFile(name)
	_, part = parsePartFile(name)
	return bundle, have, part
}

// Overload returns which of some bundles are dropped when what they claim may
// take so many bytes; those with an even index are of trusted exporters.
func Overload(limit int64, runs ...int) (dropped []int) {
	index := make(map[*source]int)
	l := newLoad(func(f refs.Feed) bool { return f[0]%2 == 0 }, limit)
	for i, n := range runs {
		s := &source{facts: &facts{exporter: refs.Feed{byte(i)}, frames: []frame{{runs: make([]run, n)}}}}
		index[s] = i
		l.add(s)
	}
	for _, s := range l.dropped {
		dropped = append(dropped, index[s])
	}
	return dropped
}

// LimitFiles lowers the bound of files on a medium.
func (s *Stick) LimitFiles(n int) { s.maxFiles = n }

// ReformatMarker parses a marker and formats it again.
func ReformatMarker(b []byte) ([]byte, error) {
	m, err := parseMarker(b)
	if err != nil {
		return nil, err
	}
	return m.format(), nil
}

// AsideForDir moves aside what lies where a directory belongs, as if it had been no
// directory a moment before; AsideForFile does so where a file belongs.
func AsideForDir(root *os.Root, name string) (string, error) {
	return aside(root, name, fs.FileMode.IsDir)
}
func AsideForFile(root *os.Root, name string) (string, error) {
	return aside(root, name, fs.FileMode.IsRegular)
}
