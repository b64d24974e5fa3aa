// Command pelorus is every role of Pelorus and its command line client: `pelorus help` lists them. This package only wires; what
// the commands do is in internal/cli.
package main

import (
	"os"

	"github.com/pelorusdb/pelorus/internal/cli"
)

func main() {
	os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
