package node

import (
	"cmp"

	"github.com/ssbsync/ssbsync/store/blobs"
)

// DefaultBlobQuota is how many bytes of fetched blobs are kept unless the
// config says otherwise.
const DefaultBlobQuota = 5 << 30

// BlobConfig is what the config says under "blobs", as for ssb-blobs.
type BlobConfig struct {
	Max      int64 `json:"max"`      // bytes of one blob; 0 = 5 MiB
	Sympathy *int  `json:"sympathy"` // how far away a want may have begun; nil = 3
	Pushy    int   `json:"pushy"`    // how many peers are to take what is pushed; 0 = 3
}

// BlobPolicy is what it says under "ssbsync" and "blobs".
type BlobPolicy struct {
	// Hops says whose messages make us want the blobs they refer to: those of
	// feeds within so many hops. Nil means all feeds that are replicated or
	// carried, a negative number none.
	Hops *int `json:"hops"`

	// Quota is how many bytes of fetched blobs are kept; 0 = 5 GiB. What was
	// added here does not count.
	Quota int64 `json:"quota"`
}

// BlobSettings are both, with their defaults.
type BlobSettings struct {
	Max      int64
	Sympathy int // as blobs.Config has it
	Pushy    int
	Hops     *int
	Quota    int64
}

func (c *Config) blobSettings() BlobSettings {
	s := BlobSettings{
		Max: cmp.Or(c.Blobs.Max, blobs.DefaultMax), Pushy: c.Blobs.Pushy,
		Hops: c.Ssbsync.Blobs.Hops, Quota: cmp.Or(c.Ssbsync.Blobs.Quota, DefaultBlobQuota),
	}
	if sympathy := c.Blobs.Sympathy; sympathy != nil {
		if s.Sympathy = *sympathy; s.Sympathy == 0 {
			s.Sympathy = -1 // none
		}
	}
	return s
}
