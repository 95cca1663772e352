// This takes the place of gitleaks' own file: the same secrets are drawn each time.
package secrets

import (
	"os"
	"strconv"

	"github.com/lucasjones/reggen"
)

var seed, _ = strconv.ParseInt(os.Getenv("SEED"), 10, 64)

func NewSecret(regex string) string {
	generator, err := reggen.NewGenerator(regex)
	if err != nil {
		panic(err)
	}
	seed++
	generator.SetSeed(seed)
	return generator.Generate(1)
}
