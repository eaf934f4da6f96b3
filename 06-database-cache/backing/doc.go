// Package backing finds the two services behind the order service, PostgreSQL and
// memcached, or starts them: the best real thing that this machine has, and never
// a fake. It says in one line which it took, and why.
//
//	pg, err := backing.OpenPostgres(ctx, backing.PostgresConfig{URL: os.Getenv("DATABASE_URL")})
//	if err != nil {
//		return err
//	}
//	defer pg.Close()
//	db, err := sqlx.Open("postgres", pg.URL)
//
// # What it starts dies with its parent
//
// A server is started by a supervisor: this same program, run once more, which holds
// the reading end of a pipe whose writing end the parent holds. When the parent ends,
// however it ends, the kernel closes that end, and the supervisor stops the server
// and removes its folder. It leads a process group of its own, so that Ctrl-C reaches
// the service first, which may still write what it has promised. When the supervisor
// itself is killed, Linux tells the server, and Windows ends it with the job that the
// supervisor held; the next cluster to start removes the folder that is left. On
// macOS nobody tells the server then.
//
// A program is its own supervisor by one hook, this package's init, which looks for
// one variable in the environment, CLICKTOCODE_SUPERVISOR, for either server. Where it
// is set, init never returns: it reads from standard input what to start, PostgreSQL
// or memcached, runs it, and then ends the process. So nothing has to be called,
// neither in main nor in a TestMain, and it works from a test's binary as it does from
// `go run`.
//
// # A server in a process of its own
//
// Whoever keeps PostgreSQL in one process and uses it from others names DataDir and
// Addr. Then all that a killed server had acknowledged is there when the next one
// starts, at the same address with the same password, and the others learn both by
// KeptURL:
//
//	c := backing.PostgresConfig{Addr: "127.0.0.1:5433", DataDir: backing.DataDir(state)}
//	pg, err := backing.OpenPostgres(ctx, c) // the one
//	url, err := c.KeptURL()                 // the others
//
// PostgreSQL refuses to run as root. For root it runs as user postgres or nobody.
//
// # What was never run
//
// All of it is tested on Linux. What it does on Windows (pg_ctl, a job object) and on
// macOS is compiled and vetted, and was never run there.
package backing
