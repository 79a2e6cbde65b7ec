package stick

import (
	"slices"

	"github.com/ssbsync/ssbsync/bundle"
)

// codec returns the codec an export to a medium writes: the one asked for;
// else the smallest one if every store that left a have there reads it, and
// whoever the export is for; else the interchange form, as for a medium of
// which we do not know who will read it.
func (p *Peer) codec(sc *scene, o ExportOptions) (string, error) {
	if o.Codec != "" {
		return o.Codec, nil
	}
	haves := sc.others
	if o.forOne() {
		more, err := p.ledger.newestOf(o.To, o.ToStore)
		if err != nil {
			return "", err
		}
		haves = slices.Concat(haves, more)
	}
	lacks := func(h *Have) bool { return !h.Reading(bundle.CodecCompact) }
	if len(sc.others) == 0 || slices.ContainsFunc(haves, lacks) {
		return bundle.CodecJSONL, nil
	}
	return bundle.CodecCompact, nil
}
