package stick

import (
	"fmt"
	"strconv"
	"strings"
)

// Names on a medium consist of [a-z0-9._-]. Whatever does not have the exact
// form is not ours and is ignored.
const (
	bundleSuffix = ".ssb.zst"
	haveSuffix   = ".have"
	partSuffix   = ".part"

	bundleNameLen = 26 // base32 characters of a manifest's SHA-256
	partRandomLen = 16 // hexadecimal digits that make a temporary name unique
)

// isBundleName reports whether name is that of a bundle, without the suffix.
func isBundleName(name string) bool {
	return len(name) == bundleNameLen && madeOf(name, "abcdefghijklmnopqrstuvwxyz234567")
}

// parseBundleFile returns the bundle's name when file is NAME.ssb.zst in the
// directory that NAME belongs into.
func parseBundleFile(dir, file string) (name string, ok bool) {
	name, ok = strings.CutSuffix(file, bundleSuffix)
	return name, ok && isBundleName(name) && name[:2] == dir
}

// isShard reports whether dir can be a directory below bundles/.
func isShard(dir string) bool {
	return len(dir) == 2 && madeOf(dir, "abcdefghijklmnopqrstuvwxyz234567")
}

// bundlePath returns where the bundle of that name lies on a stick.
func bundlePath(name string) string {
	return bundlesDir + "/" + name[:2] + "/" + name + bundleSuffix
}

// haveFile is the name of a have file: whose, and which.
type haveFile struct {
	Store   ID
	Counter uint64
}

func (f haveFile) String() string { return fmt.Sprintf("%s-%d%s", f.Store, f.Counter, haveSuffix) }

func (f haveFile) path() string { return haveDir + "/" + f.String() }

// parseHaveFile reads <store>-<counter>.have.
func parseHaveFile(name string) (haveFile, bool) {
	stem, ok := strings.CutSuffix(name, haveSuffix)
	store, counter, found := strings.Cut(stem, "-")
	if !ok || !found {
		return haveFile{}, false
	}
	id, err := ParseID(store)
	if err != nil {
		return haveFile{}, false
	}
	n, err := strconv.ParseUint(counter, 10, 53)
	if err != nil || n == 0 || counter[0] == '0' {
		return haveFile{}, false
	}
	return haveFile{id, n}, true
}

// parsePartFile returns the store that writes tmp/<store>-<random>.part.
func parsePartFile(name string) (ID, bool) {
	stem, ok := strings.CutSuffix(name, partSuffix)
	store, random, found := strings.Cut(stem, "-")
	if !ok || !found || len(random) != partRandomLen || !madeOf(random, "0123456789abcdef") {
		return ID{}, false
	}
	id, err := ParseID(store)
	return id, err == nil
}

// madeOf reports whether s consists of the given characters only.
func madeOf(s, alphabet string) bool {
	for i := range len(s) {
		if strings.IndexByte(alphabet, s[i]) < 0 {
			return false
		}
	}
	return true
}
