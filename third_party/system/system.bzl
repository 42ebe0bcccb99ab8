"""A library that Debian installs: headers from /usr/include, objects from the linker's path."""

def system_library(name, link, whole = False, **kwargs):
    """Declares the library.

    Args:
      name: target name.
      link: names as the linker's -l takes them, dependents first.
      whole: keep the library even when no symbol of it is referred to.
      **kwargs: deps, defines.
    """
    opts = ["-l" + lib for lib in link]
    if whole:
        opts = ["-Wl,--no-as-needed"] + opts + ["-Wl,--as-needed"]
    native.cc_library(
        name = name,
        linkopts = opts + ["-pthread"],
        **kwargs
    )
