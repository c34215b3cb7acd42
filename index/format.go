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

// checkFormat reports whether dir holds an index. The file is written last when an index is made, so that
// without it nothing was ever committed.
func checkFormat(disk vfs.FS, dir string) (exists bool, err error) {
	const op = "open the index"
	path := disk.PathJoin(dir, formatName)
	file, err := disk.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("%s: %w", op, err)
	}
	line, err := io.ReadAll(io.LimitReader(file, 100))
	if cerr := file.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return false, fmt.Errorf("%s: %w", op, err)
	}
	version, err := parseFormat(string(line))
	if err != nil {
		return false, fmt.Errorf("%s: %w", op, err)
	}
	if version != formatVersion {
		return false, refused(op, dir, fmt.Errorf("it has format %d, this weir reads format %d", version, formatVersion),
			"use the weir that wrote it, or move the directory away: the index is then rebuilt by comparison")
	}
	return true, nil
}

// writeFormat makes the version durable. The barrier is the sync of the directory after the rename.
func writeFormat(disk vfs.FS, dir string) error {
	path := disk.PathJoin(dir, formatName)
	err := writeSynced(disk, path+".new", formatLine(formatVersion))
	if err == nil {
		err = disk.Rename(path+".new", path)
	}
	if err == nil {
		err = syncDir(disk, dir)
	}
	return wrap("write the index's format", err)
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
