package main

import (
	"errors"
	"os"
	"path/filepath"
)

// homeFolder returns the absolute path of the folder that holds secret,
// config and store: --path, $ssb_path, ~/.$ssb_appname, else ~/.ssb, as
// ssb-config looks for it.
func homeFolder(flag string, getenv func(string) string) (string, error) {
	if flag != "" {
		return filepath.Abs(flag)
	}
	if path := getenv("ssb_path"); path != "" {
		return filepath.Abs(path)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", errors.New("neither --path nor $HOME says where the home folder is")
	}
	app := getenv("ssb_appname")
	if app == "" {
		app = "ssb"
	}
	if !filepath.IsLocal("." + app) {
		return "", errors.New("ssb_appname must be a plain name")
	}
	return filepath.Join(home, "."+app), nil
}
