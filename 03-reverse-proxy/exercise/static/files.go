package static

import (
	"bytes"
	"cmp"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"clicktocode.example/03-reverse-proxy/coding"
	"clicktocode.example/03-reverse-proxy/solution/acceptencoding"
)

// Files is a site. It is an http.Handler, and its methods may be called by many
// goroutines at once. Make one with New.
type Files struct {
	paths map[string]string // the URL's path of each file that has a fingerprint, by its name
	files map[string]*file  // by the URL's path
}

// New reads a site, and keeps nothing of files but their content.
//
// Those that end in .html are pages, and html/template templates, executed once,
// without data. {{asset "app.css"}} in them is what Path says of app.css; it is an
// error to name a file that is not there. A page is served under its own name, and
// index.html under its folder: "/", or "/about/". All others are served under
// /assets/, by their fingerprint alone: without it, or with that of an earlier
// content, there is nothing. That way no cache can come to hold new content under
// an old name. Files and folders whose names begin with a dot, and links, are left out.
func New(files fs.FS) (*Files, error) {
	f := &Files{paths: map[string]string{}, files: map[string]*file{}}
	pages := map[string][]byte{}
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name != "." && strings.HasPrefix(d.Name(), "."): // .git and .env are not for the public
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case !d.Type().IsRegular():
			return nil
		}
		content, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		if path.Ext(name) == ".html" {
			pages[name] = content
			return nil
		}
		url := "/assets/" + fingerprinted(name, content)
		f.paths[name] = url
		if f.files[url], err = newFile(name, content, true); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("static: %w", err)
	}
	for name, content := range pages { // now that all names are known
		page, err := f.execute(name, content)
		if err != nil {
			return nil, fmt.Errorf("static: %w", err)
		}
		url := "/" + name
		if path.Base(name) == "index.html" {
			url = strings.TrimSuffix(url, "index.html")
		}
		if f.files[url], err = newFile(name, page, false); err != nil {
			return nil, fmt.Errorf("static: %s: %w", name, err)
		}
	}
	return f, nil
}

// Path is the path of the URL of a file, "/assets/app.1f2e3d4c.css" for "app.css".
// It is empty for pages and for what is not there.
func (f *Files) Path(name string) string { return f.paths[name] }

// ServeHTTP answers GET and HEAD, other methods by 405, and by 404 what is not there.
func (f *Files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff") // or a text that looks like a script may be run as one
	file, ok := f.files[r.URL.Path]                     // as it is: there is no way from here to a file system
	if !ok {
		// During a rollout another edge may have it already.
		w.Header().Set("Cache-Control", "no-store")
		http.Error(w, "404 not found", http.StatusNotFound)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "405 method not allowed", http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set("Content-Type", file.contentType)
	file.serve(w, r)
}

// execute is the page that a template makes.
func (f *Files) execute(name string, content []byte) ([]byte, error) {
	t, err := template.New(name).Funcs(template.FuncMap{
		"asset": func(name string) (string, error) {
			if url, ok := f.paths[name]; ok {
				return url, nil
			}
			return "", fmt.Errorf("there is no file %q", name)
		},
	}).Parse(string(content))
	if err != nil {
		return nil, err
	}
	var page bytes.Buffer
	if err := t.Execute(&page, nil); err != nil {
		return nil, err
	}
	return page.Bytes(), nil
}

// newFile compresses content, where that gains something.
func newFile(name string, content []byte, immutable bool) (*file, error) {
	f := &file{contentType: contentType(name), immutable: immutable}
	if text(f.contentType) {
		for _, c := range coding.Names() {
			encoded, err := coding.Encode(c, content)
			if err != nil {
				return nil, err
			}
			if len(encoded) < len(content) {
				f.variants = append(f.variants, variant{coding: c, content: encoded, tag: tag(encoded)})
			}
		}
	}
	slices.SortStableFunc(f.variants, func(a, b variant) int { return cmp.Compare(len(a.content), len(b.content)) })
	f.variants = append(f.variants, variant{coding: acceptencoding.Identity, content: content, tag: tag(content)})
	return f, nil
}

// types are those of what a site is made of. Package mime asks the system first,
// and that gives other answers on other machines.
var types = map[string]string{
	".avif": "image/avif", ".css": "text/css; charset=utf-8", ".gif": "image/gif", ".html": "text/html; charset=utf-8",
	".ico": "image/x-icon", ".jpeg": "image/jpeg", ".jpg": "image/jpeg", ".js": "text/javascript; charset=utf-8",
	".json": "application/json", ".map": "application/json", ".mjs": "text/javascript; charset=utf-8", ".pdf": "application/pdf",
	".png": "image/png", ".svg": "image/svg+xml", ".txt": "text/plain; charset=utf-8", ".wasm": "application/wasm",
	".webmanifest": "application/manifest+json", ".webp": "image/webp", ".woff2": "font/woff2", ".xml": "text/xml; charset=utf-8",
}

func contentType(name string) string {
	ext := strings.ToLower(path.Ext(name))
	return cmp.Or(types[ext], mime.TypeByExtension(ext), "application/octet-stream")
}

// text reports whether content of this type is worth an attempt to compress it.
// Pictures, films and fonts are compressed already.
func text(contentType string) bool {
	for _, kind := range []string{"text/", "application/json", "application/manifest+json", "application/wasm", "image/svg+xml"} {
		if strings.HasPrefix(contentType, kind) {
			return true
		}
	}
	return false
}

// send answers r with content, or with what its conditions and its Range ask for.
// w's header holds the ETag and whatever else there is to say.
func send(w http.ResponseWriter, r *http.Request, content []byte) {
	// No time: ETag is the better validator, and that of the file system is another
	// one on each edge.
	http.ServeContent(&sized{w, len(content)}, r, "", time.Time{}, bytes.NewReader(content))
}

// sized sets Content-Length on a 200. http.ServeContent leaves it out where there
// is a Content-Encoding, for somebody behind might compress only now.
type sized struct {
	http.ResponseWriter
	length int
}

func (s *sized) WriteHeader(status int) {
	if status == http.StatusOK {
		s.Header().Set("Content-Length", strconv.Itoa(s.length))
	}
	s.ResponseWriter.WriteHeader(status)
}

// ReadFrom lets the writer below copy, which has a buffer for that.
func (s *sized) ReadFrom(from io.Reader) (int64, error) { return io.Copy(s.ResponseWriter, from) }
