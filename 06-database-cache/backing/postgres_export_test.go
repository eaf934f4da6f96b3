package backing

// InitdbGrace is for tests of an initdb that hangs.
var InitdbGrace = &initdbGrace
