package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/ssbsync/ssbsync/bundle"
)

// makeData makes a data set and writes it to a file.
func makeData(ctx context.Context, o options, path string) (err error) {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, file.Close()); err != nil {
			os.Remove(path)
		}
	}()
	buffered := bufio.NewWriterSize(file, 1<<20)
	packed, err := bundle.NewZstdWriter(buffered)
	if err != nil {
		return err
	}
	percent := -1
	err = generate(ctx, packed, o.messages, o.feeds, o.seed, func(done int) {
		if now := done * 10 / o.messages; now > percent {
			percent = now
			fmt.Fprintf(os.Stderr, "made %d of %d messages\n", done, o.messages)
		}
	})
	return errors.Join(err, packed.Close(), buffered.Flush())
}
