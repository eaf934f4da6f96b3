package peer

import (
	"errors"
	"os"
	"testing"
)

// ForTest is Start for a test: the peer ends with t, and is there, or t is over.
// Where the program is missing, t is skipped, and says how to get it; under CI
// it fails, since a suite that nobody passed proves nothing. When t has failed,
// its log has what the program said.
func ForTest(t testing.TB, p Program, config func(dir, addr string) string) *Peer {
	t.Helper()
	started, err := Start(t.Context(), p, config)
	var missing *MissingError
	if errors.As(err, &missing) && os.Getenv("CI") == "" {
		t.Skip("not checked against it: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := started.Close(); err != nil {
			t.Error(err)
		}
		if said := started.Output(); t.Failed() && said != "" {
			t.Logf("%s said:\n%s", p, said)
		}
	})
	return started
}
