package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSimulation(t *testing.T) {
	results, err := run(1)
	require.NoError(t, err)

	t.Run("shows_what_the_lesson_says", func(t *testing.T) {
		one, ten := p99(results[0]), p99(results[1])
		assert.Less(t, one["less busy of two"], one["round robin"]/2)
		assert.Less(t, one["less busy of two"], one["least busy of all"]*11/10, "two are nearly as good as all")
		assert.Less(t, ten["less busy of two"]*3/2, ten["least busy of all"], "a herd, on old counts")
	})

	t.Run("comes_out_the_same_each_time", func(t *testing.T) {
		again, err := scenarios[1].play(pickers[4], 1)
		require.NoError(t, err)
		assert.Equal(t, results[1].rows[4].took, again)
		var out bytes.Buffer
		require.NoError(t, print(&out, results))
		assert.Contains(t, out.String(), "less busy of two")
	})

	t.Run("draws_the_picture_of_the_lesson", func(t *testing.T) {
		picture := draw(results)
		d := xml.NewDecoder(bytes.NewReader(picture))
		for err == nil {
			_, err = d.Token()
		}
		require.True(t, errors.Is(err, io.EOF), "%v", err)
		if runtime.GOARCH == "amd64" { // others round floats otherwise, and may differ by a pixel
			committed, err := os.ReadFile("latency.svg")
			require.NoError(t, err)
			assert.Equal(t, string(committed), string(picture), "it has changed: go generate ./simulate")
		}
	})
}

func TestLatencies(t *testing.T) {
	l := latencies{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	assert.Equal(t, []time.Duration{1, 6, 10, 10}, []time.Duration{l.at(0), l.at(50), l.at(99), l.at(100)})
}

func p99(r result) map[string]time.Duration {
	all := map[string]time.Duration{}
	for _, row := range r.rows {
		all[row.picker] = row.took.at(99)
	}
	return all
}
