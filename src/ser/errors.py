class UserError(ValueError):
    """A mistake of the user's: its message is one line that names the thing, the value and the choices.

    The command line prints the message and exits with status 1; anything else that is raised is a defect of ours and
    keeps its traceback.
    """
