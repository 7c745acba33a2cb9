package validate

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"time"
)

// Test runs a recipe's own test script as an ordinary user in a fresh container
// that holds what an installation left in the folders installed, without a
// network. env is added to its environment. The check's name is test.
func Test(ctx context.Context, c Container, recipe, dir, script string, env []string, installed []string, timeout time.Duration) Check {
	const inside = "/tests"
	return Run(ctx, "test", recipe, func(log io.Writer) error {
		err := c.Run(ctx, Command{
			Args:    []string{"/bin/bash", filepath.Join(inside, script)},
			Env:     append([]string{"HOME=/tmp", "LC_ALL=C.UTF-8"}, env...),
			Mounts:  []Mount{{dir, inside}},
			Base:    installed,
			Timeout: timeout,
			Output:  log,
		})
		if err != nil {
			return fmt.Errorf("%s: %w", script, err)
		}
		return nil
	})
}
