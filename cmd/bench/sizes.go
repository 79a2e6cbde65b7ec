package main

import (
	"os"
	"os/exec"
)

// compressLimit is up to which size of a data set compressors are compared:
// xz takes a second a megabyte.
const compressLimit = 200 << 20

// size is how small something makes the data set.
type size struct {
	name  string
	bytes int64
	took  usage
}

// compressors lets general programs compress the values, one a line.
func (b *bench) compressors() error {
	if b.set.raw > compressLimit {
		b.say("compressors are not compared with data sets of more than %d MiB", compressLimit>>20)
		return nil
	}
	for _, c := range [][]string{{"gzip", "-9"}, {"zstd", "-19"}, {"xz"}} {
		if _, err := exec.LookPath(c[0]); err != nil {
			b.say("%s is not installed", c[0])
			continue
		}
		b.say("compressing with %s", c)
		if err := b.compress(c); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) compress(c []string) error {
	path := b.path("packed")
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	defer os.Remove(path)
	took, err := b.run(out, b.dir, c[0], append(c[1:], "-c", b.path("values.jsonl"))...)
	if closed := out.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	name := c[0]
	if len(c) > 1 {
		name += " " + c[1]
	}
	b.sizes = append(b.sizes, size{name: name + " of the values", bytes: info.Size(), took: took})
	return nil
}
