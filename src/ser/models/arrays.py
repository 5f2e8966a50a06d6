"""Types of the arrays that models compute."""

import numpy as np
import numpy.typing as npt

Logits = npt.NDArray[np.float32]
"""`(clips, emotions)`."""
Probabilities = npt.NDArray[np.float64]
"""`(emotions,)` for one clip, or `(clips, emotions)`."""
Embedding = npt.NDArray[np.float32]
"""`(width,)` of a clip, or `(frames, width)` of its frames."""
