package main

import "runtime/debug"

// release is the version of this program; the linker may set it.
var release = "0.1.0"

// version returns the release and, when the build knows it, the commit.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return release
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" && len(setting.Value) >= 12 {
			return release + " (" + setting.Value[:12] + ")"
		}
	}
	return release
}
