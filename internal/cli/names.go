package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// splitShard takes KEYSPACE/SHARD apart.
func splitShard(s string) (keyspace, shard string, err error) {
	keyspace, shard, ok := strings.Cut(s, "/")
	if !ok || keyspace == "" || shard == "" {
		return "", "", usagef("%q is not KEYSPACE/SHARD, such as commerce/-80", s)
	}
	return keyspace, shard, nil
}

// readableFile is the absolute path of a file that exists.
func readableFile(path string) (string, error) {
	st, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if st.IsDir() {
		return "", fmt.Errorf("%s is a directory", path)
	}
	return filepath.Abs(path)
}

// helpOnly is what a command that only groups others does.
func helpOnly(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("there is no command %q below `%s`; see `%s --help`", args[0], cmd.CommandPath(), cmd.CommandPath())
	}
	return cmd.Help()
}

// ranges matches a list of key ranges that begins with a hyphen, such as -40,40-80, and so looks like flags.
var ranges = regexp.MustCompile(`^-[0-9a-fA-F]+(,[0-9a-fA-F]*-[0-9a-fA-F]*)*$`)

// rangesLast moves such a list, where it is an argument of add-shards, behind a "--", which ends the flags.
func rangesLast(args []string) []string {
	at := slices.Index(args, "add-shards")
	if at < 0 || slices.Contains(args, "--") {
		return args
	}
	var rest, moved []string
	for i, a := range args {
		value := i > 0 && strings.HasPrefix(args[i-1], "--") && !strings.Contains(args[i-1], "=")
		if i > at && !value && ranges.MatchString(a) {
			moved = append(moved, a)
		} else {
			rest = append(rest, a)
		}
	}
	if len(moved) == 0 {
		return args
	}
	return append(append(rest, "--"), moved...)
}
