// Probe asks a URL for its health: exit code 0 when it answers 200 to 299 in time, 1 when not.
// The URL may hold ${NAME} and ${NAME:-default}.
// An image FROM scratch has neither shell nor curl to do this with.
package main

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"
)

// Docker's own time limit for a health check kills without a word; ours says why.
const timeout = 2 * time.Second

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: probe URL")
		os.Exit(1)
	}
	if err := ask(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// The port stands in a variable, and there is no shell to put it into the URL: NAME or
// NAME:-default, as the collector's config has it.
func variable(name string) string {
	name, otherwise, _ := strings.Cut(name, ":-")
	if value, set := os.LookupEnv(name); set {
		return value
	}
	return otherwise
}

func ask(url string) error {
	url = os.Expand(url, variable)
	response, err := (&http.Client{Timeout: timeout}).Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return fmt.Errorf("%s answered %s", url, response.Status)
	}
	return nil
}
