// French. Keys and placeholders are those of en.js.

export const texts = {
  skip: "Aller à l’image",
  "top.label": "Historique, jeton et langue",
  history: "Historique",
  token: "Jeton",
  language: "Langue",
  close: "Fermer",
  cancel: "Annuler",
  back: "Retour",
  retry: "Réessayer",

  "server.asking": "Vérification",
  "server.ready": "Prêt",
  "server.embedded": "avec le lecteur intégré",
  "server.with_token": "avec un jeton",
  "server.loading": "Chargement",
  "server.the_model": "du modèle",
  "server.stopping": "Arrêt en cours",
  "server.offline": "Hors ligne",
  "offline.title": "Le serveur est injoignable.",
  "offline.text":
    "Le serveur est nécessaire pour lire une photo. Cette page et votre historique fonctionnent hors ligne.",

  "stage.label": "Image",
  "stage.sketch":
    "Une clé à plat et droite dans un cadre qu’elle remplit, avec un trait sur chacune de ses cinq entailles",
  "stage.drop": "Déposez l’image ici",
  "photo.alt": "La photo en cours de lecture",
  "photo.read": "La photo de cette lecture",

  "camera.preview": "Aperçu de l’appareil photo",
  "camera.title": "Tenez la clé devant l’appareil photo",
  "camera.on": "L’appareil photo est en marche",
  "camera.aim": "À plat et droite, remplissant le cadre",
  "camera.dark": "Trop sombre : ajoutez de la lumière",
  "camera.steady": "Ne bougez pas le téléphone",
  "camera.closer": "Trop loin : rapprochez-vous",
  "camera.shoot": "Prendre la photo",
  "camera.flip": "Tête à droite",
  "camera.light": "Lumière",
  "camera.https":
    "Les navigateurs n’autorisent l’appareil photo que sur les pages https. Utilisez l’application photo, ou choisissez une photo.",
  "camera.not_allowed":
    "Le navigateur n’a pas accès à l’appareil photo. Autorisez-le dans les réglages de la page, ou choisissez une photo.",
  "camera.not_found": "Aucun appareil photo trouvé. Choisissez une photo.",
  "camera.in_use":
    "Un autre programme utilise l’appareil photo. Fermez-le, ou choisissez une photo.",
  "camera.failed": "L’appareil photo est inutilisable. Choisissez une photo.",

  "start.title": "Photographiez une clé, lisez son code.",
  "start.lead":
    "Profil, profondeur de chaque entaille, fiabilité, et ce que le code de taille signifie pour votre serrure.",
  "start.camera": "Prendre une photo",
  "start.choose": "Choisir une photo",
  "start.sample": "Pas de clé ? Essayez un exemple",
  "start.drop": "Ou déposez ou collez une image n’importe où sur cette page.",
  "start.caution":
    "Ne lisez que des clés qui vous appartiennent ou que vous avez le droit de copier. La photo est envoyée à ce serveur, qui la lit et ne l’écrit jamais sur disque.",
  "start.share_lost":
    "La photo partagée n’est pas arrivée. Partagez-la à nouveau, ou choisissez-la ici.",
  "tips.label": "Comment prendre la photo",
  "tips.flat": "À plat sur un fond uni",
  "tips.fill": "Sur toute la largeur, bien entière",
  "tips.above": "Bien d’en haut, en lumière douce",

  "work.title": "Lecture de la photo",
  "work.label": "Progression",
  "work.preparing": "Préparation de la photo",
  "work.sending": "Envoi de la photo",
  "work.sending_part": "Envoi, {part}",
  "work.reading": "Lecture de la clé",

  "reading.announce": "Lecture : {keyway}, code {code}, fiabilité {confidence}",
  "reading.announce_edited": "Lecture : {keyway}, code {code}, corrigé à la main",
  "reading.not_saved": "La lecture n’a pas pu être enregistrée dans l’historique",
  "reading.sample": "C’est une photo d’exemple, pas votre clé.",
  "reading.stored": "De votre historique, lue le {when}.",
  "reading.cuts": {
    one: "{n} entaille, de la tête à la pointe",
    other: "{n} entailles, de la tête à la pointe",
  },
  "reading.code": "Code {code}",
  "reading.cut": "n° {n}",
  "reading.confidence": "{confidence} de probabilité",
  "reading.confidence_means": "que le code entier soit juste.",
  "reading.uncalibrated":
    "Ce modèle n’a pas d’étalonnage mesuré, le chiffre peut donc être inexact.",
  "reading.check": "Vérifiez le code avec un calibre à clés avant de faire tailler une clé.",
  "reading.retake":
    "Prenez une autre photo, et vérifiez le code avec un calibre à clés avant de faire tailler une clé.",
  "reading.caution":
    "Avec ce code, n’importe qui peut tailler la clé. Ne l’envoyez qu’aux personnes à qui vous donneriez la clé.",
  "reading.again": "Lire une autre clé",
  "reading.copy": "Copier le code",
  "reading.share": "Partager",
  "reading.copied": "Copié",
  "reading.not_allowed": "Non autorisé",
  "reading.others": "Autres codes possibles",
  "reading.unlikely": "moins de {share}",

  "edited.title": "Corrigé à la main",
  "edited.mark": "corrigé",
  "edited.text":
    "La photo a été lue comme {code}, avec {confidence} de probabilité. Ce chiffre ne vaut pas pour le code corrigé.",
  "edited.undo": "Annuler les corrections",
  "edited.copy": "{code} (corrigé à la main)",
  "edited.assessment":
    "L’évaluation n’est pas affichée, car elle ne vaut que pour le code qui a été lu.",

  "cuts.title": "Chaque entaille",
  "cuts.cut": "N°",
  "cuts.depth": "Prof.",
  "cuts.height": "Hauteur restante",
  "cuts.probability": "Probabilité",
  "cuts.worn": "usée ?",
  "cuts.worn_means":
    "Une entaille marquée « usée ? » se situe entre deux profondeurs. La serrure demande peut-être la profondeur voisine.",
  "cuts.other_keys":
    "Il semble y avoir plusieurs clés sur l’image. Voici le code de la plus grande.",
  "cuts.unit": "Unité de la hauteur restante",
  "cuts.mm": "mm",
  "cuts.in": "pouces",
  "cuts.edit": "Corriger une entaille",
  "cuts.edit_done": "Terminé",
  "cuts.depth_of": "Profondeur de l’entaille {n}",
  "cuts.was": "lu : {depth}",
  "cuts.by_hand": "à la main",
  "number.mm": "{n} mm",
  "number.in": "{n} in",
  "number.ms": "{n} ms",
  "number.px": "{n} px",

  "drawing.words": "La lame avec son contour et {n} entailles, depuis la tête : {cuts}",
  "drawing.cut": "entaille {n} profondeur {depth}",
  "drawing.blade": "Lame",
  "drawing.whole": "Photo entière",
  "drawing.view": "Vue",
  "drawing.no_picture":
    "Ce navigateur ne peut pas afficher ce format de photo, mais le serveur peut le lire.",
  "drawing.stored": "Les photos ne sont pas conservées. Voici le dessin de la lecture.",

  "assessment.title": "Ce que cela signifie pour la serrure",
  "assessment.weak": "Faible, sur 100",
  "assessment.fair": "Moyen, sur 100",
  "assessment.good": "Bon, sur 100",
  "assessment.todo": "Que faire",
  "assessment.sources": "Sources",
  "assessment.score": "Comment la note est calculée",
  "assessment.part": "{name} : {points} sur {of}. {why}",
  "assessment.keyed_alike": "Clés taillées à l’identique",
  "assessment.key_space": "Nombre de codes possibles",
  "assessment.pattern": "Motif des entailles",
  "assessment.profile": "Variation des entailles",
  "assessment.blank": "Qui peut la copier",
  "assessment.bumping": "Ouverture par percussion",

  "details.title": "La photo et le lecteur",
  "details.sharpness": "Netteté",
  "details.pixels": "Pixels par cran de profondeur",
  "details.tilt": "Inclinaison, approximative",
  "details.model": "Modèle",
  "details.time": "Temps sur le serveur",
  "details.cached": "depuis le cache",
  "details.json": "La réponse complète, en JSON",

  "refusal.camera": "Reprendre une photo",
  "refusal.choose": "Choisir une autre photo",
  "refusal.unknown": "La clé n’a pas pu être lue",
  "reason.not_a_key": "Pas de clé sur cette photo",
  "reason.several_keys": "Plus d’une clé",
  "reason.no_cuts": "Cette clé n’a pas d’entailles",
  "reason.unsupported_keyway": "Famille de clés non prise en charge",
  "reason.too_small": "La clé est trop petite",
  "reason.too_blurred": "La lame est floue",
  "reason.glare": "Trop de reflets sur la lame",
  "reason.cropped": "Il manque une partie de la lame",
  "reason.too_tilted": "La clé est inclinée",
  "reason.low_confidence": "La lecture est trop incertaine",
  "reason.readers_disagree": "Deux lecteurs se contredisent",
  "reason.no_code_in_reply": "Le modèle n’a donné aucun code",

  "failure.other": "Un problème est survenu",
  "failure.other.advice":
    "Réessayez. Si le problème persiste, contactez l’administrateur du serveur.",
  "failure.unreachable": "Le serveur est injoignable",
  "failure.unreachable.advice":
    "La photo est toujours là. Vérifiez la connexion et le serveur, puis réessayez.",
  "failure.rate_limited": "Trop de photos pour le moment",
  "failure.rate_limited.advice": "Le serveur limite le nombre de photos par période.",
  "failure.overloaded": "Le serveur est occupé",
  "failure.overloaded.advice":
    "Plus de photos sont en attente qu’il ne peut en lire à temps.",
  "failure.model_loading": "Le modèle est en cours de chargement",
  "failure.model_loading.advice": "Il sera bientôt prêt.",
  "failure.deadline_exceeded": "C’était trop long",
  "failure.deadline_exceeded.advice":
    "Le serveur n’a pas pu lire la photo à temps. Réessayez.",
  "failure.unauthorized": "Ce serveur demande un jeton",
  "failure.unauthorized.advice":
    "Saisissez le jeton fourni par l’administrateur du serveur, ou scannez son code QR.",
  "failure.forbidden": "Ce jeton ne le permet pas",
  "failure.forbidden.advice": "L’administrateur du serveur peut vous en donner un autre.",
  "failure.image_too_large": "L’image est trop grande",
  "failure.image_too_large.advice": "Choisissez-en une plus petite.",
  "failure.unsupported_image_type": "Format d’image non pris en charge",
  "failure.unsupported_image_type.advice":
    "Formats acceptés : JPEG, PNG, WebP, HEIC, AVIF et GIF.",
  "failure.bad_image": "L’image est endommagée",
  "failure.bad_image.advice": "Reprenez la photo, ou choisissez-en une autre.",
  "failure.wrong_file": "Ce fichier n’est pas une image",
  "failure.wrong_file.advice":
    "« {name} » ne peut pas être lu. Choisissez une photo de clé : JPEG, PNG, WebP, HEIC, AVIF ou GIF.",
  "failure.empty_file": "Ce fichier est vide",
  "failure.empty_file.advice":
    "« {name} » n’a pas de contenu. Il n’est peut-être pas entièrement téléchargé. Ouvrez-le une fois, ou choisissez-en un autre.",
  "failure.token": "Saisir le jeton",
  "failure.over": "Recommencer",
  "failure.request": "Requête {id}",
  "failure.wait": "La prochaine photo pourra être lue dans {wait}, à {at}.",
  "failure.retry_s": "Réessayer dans {n} s",
  "failure.retry_min": "Réessayer dans {n} min",
  "number.seconds": { one: "{n} seconde", other: "{n} secondes" },
  "number.minutes": { one: "{n} minute", other: "{n} minutes" },

  "history.none": "Aucune lecture.",
  "history.https":
    "L’historique nécessite https ou une page de cet appareil : les navigateurs ne chiffrent que là.",
  "history.save":
    "Enregistrer les nouvelles lectures sur cet appareil. Elles restent jusqu’à ce que vous les supprimiez.",
  "history.security":
    "Les entrées ne sont enregistrées que dans ce navigateur. Elles sont chiffrées (AES-GCM, 256 bits) avec une clé que les scripts ne peuvent pas exporter. Cela les protège si quelqu’un ne copie que les entrées, mais pas contre une personne qui tient cet appareil déverrouillé ou qui copie toutes les données de ce navigateur. C’est le rôle du verrouillage de l’écran et du chiffrement de l’appareil. Les photos et les jetons ne sont jamais enregistrés ici. Un fichier exporté n’est pas chiffré.",
  "history.how": "Comment les entrées sont protégées",
  "history.name": "Nom : porte d’entrée, cave…",
  "history.name_of": "Nom de la lecture du {when}",
  "history.name_saved": "Nom enregistré",
  "history.about": "{key}, fiabilité {confidence}, {when}",
  "history.about_edited": "{key}, corrigé à la main, {when}",
  "history.open": "Ouvrir",
  "history.open_of": "Ouvrir la lecture du {when}",
  "history.copy": "Copier",
  "history.copy_of": "Copier le code de la lecture du {when}",
  "history.delete": "Supprimer",
  "history.delete_of": "Supprimer la lecture du {when}",
  "history.delete_all": "Tout supprimer",
  "history.delete_all_sure": "Tout supprimer ?",
  "history.press_again": "Appuyez encore pour tout supprimer",
  "history.deleted": { one: "{n} lecture supprimée.", other: "{n} lectures supprimées." },
  "history.undo": "Annuler",
  "history.restored": "Rétabli",
  "history.export": "Exporter en CSV",

  "token.why":
    "Un serveur accessible depuis d’autres appareils demande un jeton. Son administrateur le crée avec {command}.",
  "token.keep":
    "Le mémoriser sur cet appareil. Sinon, il est effacé à la fermeture de cet onglet.",
  "token.use": "Utiliser ce jeton",
  "token.remove": "Effacer",
  "token.removed": "Jeton effacé",
  "token.taken": "Jeton repris de l’adresse",

  "footer.caution":
    "Avec le code, n’importe qui peut copier la clé : gardez-le aussi précieusement que la clé.",
  "footer.programs": "Les programmes peuvent utiliser {api}.",
  "footer.api": "l’API",
  "footer.install": "Installer comme application",
}

// Advice for each reason of a refusal.
export const advice = {
  not_a_key:
    "Posez une seule clé de maison à plat sur un fond uni, qu’elle remplisse presque toute l’image, et photographiez-la bien d’en haut.",
  several_keys:
    "Photographiez une seule clé : retirez-la de l’anneau, ou écartez les autres de l’image.",
  no_cuts:
    "C’est une ébauche sans entailles : elle ne porte aucun code. Photographiez une clé qui ouvre une serrure.",
  unsupported_keyway:
    "Seules les clés Schlage SC1 et SC4 et Kwikset KW1 peuvent être lues. Regardez le nom gravé sur la tête.",
  too_small:
    "Rapprochez-vous jusqu’à ce que la clé remplisse presque toute l’image, ou envoyez la photo en taille réelle.",
  too_blurred:
    "Tenez le téléphone immobile, touchez la lame à l’écran pour faire la mise au point, et ajoutez de la lumière.",
  glare:
    "Tournez la clé ou la lampe jusqu’à ce que la lame ne brille plus, ou utilisez la lumière du jour de côté.",
  cropped: "La lame entière doit être sur l’image, de l’épaulement à la pointe.",
  too_tilted:
    "Posez la clé à plat et photographiez-la bien d’en haut, le téléphone parallèle à elle. Si cela ne suffit pas, la clé n’est peut-être pas de la famille SC1, SC4 ou KW1.",
  low_confidence:
    "Prenez une autre photo : la clé à plat sur un fond uni en lumière douce, le téléphone juste au-dessus, la lame nette. Si cela ne suffit pas, la clé n’est peut-être pas de la famille SC1, SC4 ou KW1.",
  readers_disagree:
    "Prenez une autre photo bien d’en haut, en lumière douce, et vérifiez le code avec un calibre à clés.",
  no_code_in_reply:
    "Prenez une autre photo : la clé à plat sur un fond uni, bien d’en haut, nette et en lumière douce.",
}

// The server's sentences about a code, in English, with their translations.
export const sentences = {
  "At best 1 in {codes} {keyway} keys is cut the same, if all codes are used equally; in practice locks sold together are often keyed alike.":
    "Au mieux, 1 clé {keyway} sur {codes} est taillée à l’identique, si tous les codes sont utilisés également ; en pratique, les serrures vendues ensemble s’ouvrent souvent avec la même clé.",
  "At best 1 in {codes} {keyway} keys is cut the same, if all codes are used equally; but locks are sold with this code, so it is more common than that.":
    "Au mieux, 1 clé {keyway} sur {codes} serait taillée à l’identique, si tous les codes étaient utilisés également ; mais des serrures sont vendues avec ce code, il est donc plus répandu.",
  "Locks are sold with this code, so it is no secret.":
    "Des serrures sont vendues avec ce code, il n’est donc pas secret.",
  "All cuts are equally deep: the key is flat, easily guessed and easily copied.":
    "Toutes les entailles ont la même profondeur : la clé est plate, facile à deviner et facile à copier.",
  "Two neighbouring cuts differ by more than the maker allows (MACS), so one cut removes part of the other. The key may work badly, be worn, or have been misread.":
    "Deux entailles voisines diffèrent plus que le fabricant ne le permet (MACS), l’une enlève donc une partie de l’autre. La clé fonctionne peut-être mal, est usée ou a été mal lue.",
  "The cuts only get deeper or only shallower, like a staircase: locksmiths avoid such codes.":
    "Les entailles ne font que croître ou décroître, comme un escalier : les serruriers évitent ces codes.",
  "The code has fewer than three different depths. Few such codes exist, and equal cuts let more other keys open the lock.":
    "Le code a moins de trois profondeurs différentes. Ces codes sont peu nombreux, et des entailles égales laissent plus d’autres clés ouvrir la serrure.",
  "Three neighbouring cuts are equal, which the rules for good locks forbid.":
    "Trois entailles voisines sont égales, ce que les règles des bonnes serrures interdisent.",
  "The first cut, next to the bow, is very deep: this is where keys break most easily.":
    "La première entaille, près de la tête, est très profonde : c’est là que les clés cassent le plus facilement.",
  "The blank is freely available: any shop can copy this key, and a Do Not Duplicate stamp has no legal force.":
    "L’ébauche est en vente libre : n’importe quel magasin peut copier cette clé, et la mention « Do Not Duplicate » n’a aucune valeur légale.",
  "The blank is restricted: copies require proof of ownership.":
    "Le profil est protégé : les copies exigent une carte de propriété.",
  "Bump keys exist for this common keyway; burglars reportedly use them rarely.":
    "Il existe des clés à percussion pour ce profil courant ; les cambrioleurs les utiliseraient rarement.",
  "An ordinary pin tumbler lock can be bumped; burglars reportedly do so rarely.":
    "Une serrure ordinaire à goupilles peut s’ouvrir par percussion ; les cambrioleurs le feraient rarement.",
  "The lock is designed to resist bumping.":
    "La serrure est conçue pour résister à la percussion.",
  "Have the lock rekeyed now: locks are sold with this code.":
    "Faites changer la combinaison de la serrure dès maintenant : des serrures sont vendues avec ce code.",
  "When the lock is rekeyed, ask for a code with at least three depths that goes up and down.":
    "Lorsque la combinaison sera changée, demandez un code d’au moins trois profondeurs qui monte et descend.",
  "Have the key checked against the lock: the maker would not cut the code as read.":
    "Faites vérifier la clé sur la serrure : le fabricant ne taillerait pas le code lu.",
  "Keep a spare: this key is thin near the bow and may break there.":
    "Gardez un double : cette clé est fine près de la tête et peut y casser.",
  "Rekey after moving in or losing a key: nobody knows how many copies exist.":
    "Changez la combinaison après un emménagement ou la perte d’une clé : personne ne sait combien de copies existent.",
  "For an important door, ask a locksmith for a cylinder with a restricted keyway and protection against bumping.":
    "Pour une porte importante, demandez à un serrurier un cylindre à profil protégé et résistant à la percussion.",
  "Do not share pictures of this key: a picture is enough to copy it.":
    "Ne partagez pas d’images de cette clé : une image suffit pour la copier.",
  "The keyway has {codes} possible codes.": "Le profil a {codes} codes possibles.",
  "No weak pattern was found.": "Aucun motif faible trouvé.",
  "Weak patterns found: {number}.": "Motifs faibles trouvés : {number}.",
  "The cuts go up and down enough.": "Les entailles montent et descendent assez.",
  "The cuts go up and down less than recommended.":
    "Les entailles montent et descendent moins que recommandé.",
  "Anyone can buy the blank and copy the key.":
    "N’importe qui peut acheter l’ébauche et copier la clé.",
  "The blank is restricted, so copies require proof of ownership.":
    "Le profil est protégé, les copies exigent donc une carte de propriété.",
  "The keyway's exposure to bumping is high.":
    "L’exposition du profil à la percussion est élevée.",
  "The keyway's exposure to bumping is moderate.":
    "L’exposition du profil à la percussion est moyenne.",
  "The keyway's exposure to bumping is low.": "L’exposition du profil à la percussion est faible.",
}
