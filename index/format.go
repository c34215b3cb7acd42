package index

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// formatVersion changes when a record, a key or the engine's own format is no longer what an older weir
// reads. It is kept in a file of its own, one line with a checksum, so that a newer version is told before
// the engine looks at any of its files, and is not mistaken for damage.
const formatVersion = 1

const formatName = "FORMAT"

func formatLine(version uint64) string {
	head := fmt.Sprintf("weir index %d", version)
	return fmt.Sprintf("%s %08x\n", head, crc32.ChecksumIEEE([]byte(head)))
}

// parseFormat returns the version that the line tells.
func parseFormat(line string) (uint64, error) {
	var version uint64
	var sum uint32
	if _, err := fmt.Sscanf(line, "weir index %d %x\n", &version, &sum); err != nil || line != formatLine(version) {
		return 0, fmt.Errorf("%w: %s does not tell a version", ErrDamaged, formatName)
	}
	return version, nil
}

// engineName is the directory of the engine below that of the index. It is made under another name and
// renamed when it is complete, so that what has this name was once whole: if it is not, it is damaged.
const (
	engineName = "engine"
	unfinished = "engine.new"
)

// prepare makes sure that dir holds a complete index of this version.
func prepare(disk vfs.FS, dir string, g *guard) error {
	const op = "open the index"
	path := disk.PathJoin(dir, engineName)
	for _, stands := range []string{dir, path} {
		if info, err := disk.Stat(stands); err == nil && !info.IsDir() {
			return fmt.Errorf("%s: %w: %s is no directory", op, ErrDamaged, disk.PathBase(stands))
		}
	}
	_, err := disk.Stat(path)
	switch {
	case err == nil:
		return checkFormat(disk, dir)
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: %w", op, err)
	}
	if err := makeDirs(disk, dir); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	build := disk.PathJoin(dir, unfinished)
	if err := disk.RemoveAll(build); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", op, err)
	}
	engine, err := openEngine(disk, build, false, g)
	if err != nil {
		return err
	}
	if err := engine.Close(); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return wrap(op, finish(disk, dir))
}

// finish gives a complete engine its name. The barriers are the syncs of the directories: of the engine's
// before the rename, of the index's behind it.
func finish(disk vfs.FS, dir string) error {
	build := disk.PathJoin(dir, unfinished)
	if err := writeSynced(disk, disk.PathJoin(build, formatName), formatLine(formatVersion)); err != nil {
		return err
	}
	if err := syncDir(disk, build); err != nil {
		return err
	}
	if err := disk.Rename(build, disk.PathJoin(dir, engineName)); err != nil {
		return err
	}
	return syncDir(disk, dir)
}

// makeDirs makes a directory and those above it, durably.
func makeDirs(disk vfs.FS, dir string) error {
	if _, err := disk.Stat(dir); err == nil {
		return nil
	}
	above := disk.PathDir(dir)
	if above != dir {
		if err := makeDirs(disk, above); err != nil {
			return err
		}
	}
	if err := disk.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return syncDir(disk, above)
}

// checkFormat refuses versions that this weir does not read.
func checkFormat(disk vfs.FS, dir string) error {
	const op = "open the index"
	line, err := readShort(disk, disk.PathJoin(dir, engineName, formatName))
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: %s is missing", ErrDamaged, formatName)
	}
	var version uint64
	if err == nil {
		version, err = parseFormat(line)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	if version != formatVersion {
		return refused(op, dir, fmt.Errorf("it has format %d, this weir reads format %d", version, formatVersion),
			"use the weir that wrote it, or move the directory away: the index is then rebuilt by comparison")
	}
	return nil
}

func readShort(disk vfs.FS, path string) (string, error) {
	file, err := disk.Open(path)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.LimitReader(file, 100))
	return string(text), errors.Join(err, file.Close())
}

func writeSynced(disk vfs.FS, path, text string) error {
	file, err := disk.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = file.Write([]byte(text))
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

func syncDir(disk vfs.FS, dir string) error {
	d, err := disk.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
