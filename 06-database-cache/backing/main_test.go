package backing_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"testing"

	"go.uber.org/goleak"

	"clicktocode.example/06-database-cache/backing"
)

// parentVariable, in the environment, makes this test's program one that starts a
// cluster, and is then killed or interrupted.
const parentVariable = "BACKING_TEST_PARENT"

// family is what such a parent does, and what it tells when the cluster runs.
type family struct {
	Dir     string
	DataDir string
	Cache   string
	Addr    string

	URL string
	PID int
}

func TestMain(m *testing.M) {
	if text := os.Getenv(parentVariable); text != "" {
		if err := parent(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// parent starts a cluster, tells where it is, and lasts until an interrupt or the
// end of its standard input. Then it says whether its database still answers.
func parent(text string) error {
	var f family
	if err := json.Unmarshal([]byte(text), &f); err != nil {
		return err
	}
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt)
	pg, err := backing.OpenPostgres(context.Background(), backing.PostgresConfig{Dir: f.Dir, DataDir: f.DataDir, CacheDir: f.Cache, Addr: f.Addr})
	if err != nil {
		return err
	}
	f.URL, f.PID = pg.URL, pg.PID
	if err := json.NewEncoder(os.Stdout).Encode(f); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, os.Stdin)
	}()
	select {
	case <-interrupts:
	case <-ended:
	}
	db, err := sql.Open("postgres", pg.URL)
	if err != nil {
		return err
	}
	defer db.Close()
	var one int
	if err := db.QueryRow("SELECT 1").Scan(&one); err != nil {
		return fmt.Errorf("the last query: %w", err)
	}
	fmt.Println("the last query was answered")
	return pg.Close()
}
