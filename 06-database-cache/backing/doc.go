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
// On Unix a PostgreSQL server is started by a supervisor: this same program, run
// once more, which holds the reading end of a pipe whose writing end the parent
// holds. When the parent ends, however it ends, the kernel closes that end, and
// the supervisor stops the server and removes its folder. It leads a process group
// of its own, so that Ctrl-C reaches the service first, which may still write what
// it has promised. On Linux the server is told as well when the supervisor dies.
//
// A program is its own supervisor by this package's init, which looks for one
// variable in the environment, CLICKTOCODE_POSTGRES_SUPERVISOR. Where that is set,
// init never returns: it runs the server, and then ends the process. So nothing has
// to be called, neither in main nor in a TestMain, and it works from a test's
// binary as it does from `go run`.
//
// On Windows there is no supervisor: the server belongs to a job object that the
// parent holds, and Windows ends all of a job when its last handle closes. The
// folder of a killed parent is removed by the next one to start.
package backing
